# cls.py - a learned vector in front of the sequence, whose output is read (Devlin et al. 2018, arXiv:1810.04805)


class cls_pool(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.vector = parameter(f.dim)

    def front(self, x):
        return torch.cat([self.vector.expand(x.shape[0], 1, -1), x], 1)

    def forward(self, x, run):
        return x[:, 0]
