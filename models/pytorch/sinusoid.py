# sinusoid.py - sines and cosines of the position (Vaswani et al. 2017, arXiv:1706.03762, section 3.5); the table is in the file


class sinusoid_position(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.register_buffer("table", torch.zeros(f.length, f.dim))

    def forward(self, x, run):
        return x + self.table[: x.shape[1]]
