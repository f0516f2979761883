# learned.py - a learned vector for each position (Gehring et al. 2017, arXiv:1705.03122, section 3.1)


class learned_position(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.table = parameter(f.length, f.dim)

    def forward(self, x, run):
        return x + self.table[: x.shape[1]]
