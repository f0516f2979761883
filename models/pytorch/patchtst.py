# patchtst.py - patches of one channel are the tokens; channels share everything (Nie et al. 2022, arXiv:2211.14730)
# needs: instance over_time


class patchtst_model(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.patch, self.stride, self.outputs = p.patch, p.stride, f.outputs
        n = (f.length - p.patch) // p.stride + 2
        self.instance = Instance(p.norm, f)
        self.embed = Dense(p.patch, f.dim)
        self.position = parameter(n, f.dim)
        self.blocks = make_blocks(f.but(length=n))
        self.head = Dense(n * f.dim, f.horizon)

    def forward(self, x, run):
        x, statistics = self.instance(x)
        x = channels_as_rows(x, self.outputs)
        x = F.pad(x, (0, self.stride), mode="replicate").unfold(-1, self.patch, self.stride)  # (B, outputs, n, patch)
        tokens = (self.embed(x) + self.position).flatten(0, 1)
        inside = whole_run(tokens, run)
        for block in self.blocks:
            tokens = block(tokens, inside)
        y = self.head(tokens.flatten(1)).unflatten(0, (-1, self.outputs))
        return self.instance.undo(y.transpose(1, 2), statistics)
