# rmsnorm.py - root-mean-square normalisation (Zhang and Sennrich 2019, arXiv:1910.07467, equation 4)


class rmsnorm_norm(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.eps = p.eps
        self.gain = parameter(f.dim)

    def forward(self, x, run):
        return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * self.gain
