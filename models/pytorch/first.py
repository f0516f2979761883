# first.py - the first position


class first_pool(nn.Module):
    def __init__(self, p, f):
        super().__init__()

    def forward(self, x, run):
        return x[:, 0]
