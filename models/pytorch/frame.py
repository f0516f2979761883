# frame.py - embedding, positions, blocks, pool and head around the mixers


class TokenEmbedding(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.table = parameter(f.vocab, f.dim)

    def forward(self, tokens):
        return self.table[tokens]


class RealEmbedding(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.in_ = Dense(f.channels, f.dim)

    def forward(self, x):
        return self.in_(x)


class Model(nn.Module):
    """embed, position, blocks, pool, pair, head"""

    def __init__(self):
        super().__init__()
        f = self.f = model_facts()
        self.instance = Instance(f.instance, f) if f.instance != "none" else None
        self.embed = TokenEmbedding(f) if f.vocab else RealEmbedding(f)
        self.pool = make(f, "pool") if "pool" in PARTS else None
        if hasattr(self.pool, "front"):  # it puts a vector in front of the sequence
            f.length, f.front = f.length + 1, True
        self.position = make(f, "position")
        self.blocks = make_blocks(f)
        if "pair" in PARTS:
            self.pair = make(f, "pair")
            f.head_width = self.pair.width
        self.head = make(f, "head")

    def forward(self, x, lengths=None, marks=None):
        """x: tokens (B, L), of pairs (2 B, L), or reals (B, L, C); lengths: valid positions of each row, None: all"""
        f, run = self.f, model_run(self.f, x, lengths, marks)
        if self.instance is not None:
            x, statistics = self.instance(x)
        x = self.embed(x)
        if f.front:
            x = self.pool.front(x)
            run.front, run.lengths = True, run.lengths + 1
            run.mask = torch.arange(x.shape[1]) < run.lengths[:, None]
            if run.valid is not None:
                run.valid = torch.cat([run.valid[:, :1], run.valid], 1)
        x = self.position(x, run)
        for block in self.blocks:
            x = block(x, run)
        if self.pool is not None:
            x = self.pool(x, run)
        if f.kind == "pair":
            x = self.pair(x, run)
        y = self.head(x, run)
        return y if self.instance is None else self.instance.undo(y, statistics)
