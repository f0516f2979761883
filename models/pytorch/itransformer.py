# itransformer.py - each channel's look-back is one token; blocks mix channels (Liu et al. 2023, arXiv:2310.06625)
# needs: instance


class itransformer_model(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.channels, self.outputs, self.length = f.channels, f.outputs, f.length
        self.times = p.marks and f.marks > 0
        inside = f.but(length=f.channels + (f.marks if self.times else 0))
        self.instance = Instance(p.norm, f)
        self.embed = Dense(f.length, f.dim)
        self.blocks = make_blocks(inside)
        self.norm = make(inside, "norm")
        self.head = Dense(f.dim, f.horizon)

    def forward(self, x, run):
        x, statistics = self.instance(x)
        if self.times:  # features of the rows' times are tokens too
            x = torch.cat([x, marks_of(run)[:, : self.length]], -1)
        tokens = self.embed(x.transpose(1, 2))
        inside = whole_run(tokens, run)
        for block in self.blocks:
            tokens = block(tokens, inside)
        tokens = self.norm(tokens, inside)[:, self.channels - self.outputs : self.channels]
        return self.instance.undo(self.head(tokens).transpose(1, 2), statistics)
