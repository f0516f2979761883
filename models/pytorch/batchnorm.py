# batchnorm.py - batch normalisation of each channel by its running statistics (Ioffe and Szegedy 2015, arXiv:1502.03167)


class batchnorm_norm(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.eps = p.eps
        self.gain = parameter(f.dim)
        self.bias = parameter(f.dim)
        self.register_buffer("mean", torch.zeros(f.dim))
        self.register_buffer("variance", torch.zeros(f.dim))

    def forward(self, x, run):
        return (x - self.mean) * ((self.variance + self.eps).rsqrt() * self.gain) + self.bias
