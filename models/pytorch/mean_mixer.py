# mean_mixer.py - control: every position receives the mean of all valid ones; causal: of those up to it


class mean_mixer_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.wv = Dense(f.dim, f.qkv, f.bias)
        self.wo = Dense(f.qkv, f.dim, f.bias)

    def forward(self, x, run):
        v = self.wv(x)
        if run.causal:
            mean = v.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]
        else:
            mean = (v * run.mask[:, :, None]).sum(1, keepdim=True) / run.lengths.clamp(min=1)[:, None, None]
        return self.wo(mean).expand_as(x)
