# layernorm.py - layer normalisation (Ba et al. 2016, arXiv:1607.06450)


class layernorm_norm(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.eps = p.eps
        self.gain = parameter(f.dim)
        self.bias = parameter(f.dim)

    def forward(self, x, run):
        return F.layer_norm(x, x.shape[-1:], self.gain, self.bias, self.eps)
