# four_part.py - the two sequences of a pair, their product and their difference (Tay et al. 2020, arXiv:2011.04006, 2.2.3)


class four_part_pair(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.width = 4 * f.dim

    def forward(self, x, run):
        a, b = x[0::2], x[1::2]
        return torch.cat([a, b, a * b, a - b], -1)
