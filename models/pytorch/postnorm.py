# postnorm.py - residual block with the norms after the sums (Vaswani et al. 2017, arXiv:1706.03762, section 3.1)


class postnorm_residual(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.mixer = make(f, "mixer")
        self.norm1 = make(f, "norm", "norm1")
        self.channel = make(f, "channel")
        self.norm2 = make(f, "norm", "norm2") if self.channel else None

    def forward(self, x, run):
        run.stream["residual"] = x
        h = self.norm1(x + self.mixer(x, run), run)
        return self.norm2(h + self.channel(h, run), run) if self.channel else h
