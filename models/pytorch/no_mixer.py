# no_mixer.py - control: every position by itself


class no_mixer_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.wv = Dense(f.dim, f.qkv, f.bias)
        self.wo = Dense(f.qkv, f.dim, f.bias)

    def forward(self, x, run):
        return self.wo(self.wv(x))
