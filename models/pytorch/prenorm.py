# prenorm.py - residual block with the norms inside the branches (Xiong et al. 2020, arXiv:2002.04745, figure 1b)


class prenorm_residual(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.norm1 = make(f, "norm", "norm1")
        self.mixer = make(f, "mixer")
        self.channel = make(f, "channel")
        self.norm2 = make(f, "norm", "norm2") if self.channel else None
        self.final_norm = make(f, "norm", "final_norm") if f.layer + 1 == f.layers else None

    def forward(self, x, run):
        run.stream["residual"] = x
        y = x + self.mixer(self.norm1(x, run), run)
        if self.channel:
            y = y + self.channel(self.norm2(y, run), run)
        return self.final_norm(y, run) if self.final_norm else y
