# scalenorm.py - rows of one length, times a learned number (Nguyen and Salazar 2019, arXiv:1910.05895, equation 5)
# Departs: that g is sqrt(D) times this one


class scalenorm_norm(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.eps = p.eps
        self.gain = parameter(1)

    def forward(self, x, run):
        return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * self.gain
