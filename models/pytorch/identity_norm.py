# identity_norm.py - control: no normalisation


class identity_norm_norm(nn.Module):
    def __init__(self, p, f):
        super().__init__()

    def forward(self, x, run):
        return x
