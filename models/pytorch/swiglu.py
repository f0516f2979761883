# swiglu.py - gated linear unit with SiLU (Shazeer 2020, arXiv:2002.05202, equation 6)
# Departs: two thirds of ffn are rounded up to a multiple of 8


class swiglu_channel(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        hidden = p.hidden or (2 * f.ffn + 23) // 24 * 8
        self.gate = Dense(f.dim, hidden, bias=False)
        self.in_ = Dense(f.dim, hidden, bias=False)
        self.out = Dense(hidden, f.dim, bias=False)

    def forward(self, x, run):
        return self.out(F.silu(self.gate(x)) * self.in_(x))
