# mlp_head.py - head with one hidden layer, or two
# needs: head


class mlp_head_head(Head):
    def __init__(self, p, f):
        super().__init__(f)
        hidden = p.hidden or f.ffn
        self.in_ = Dense(f.head_width, hidden)
        self.second = Dense(hidden, p.second) if p.second else None
        self.out = Dense(p.second or hidden, self.outputs)

    def forward(self, x, run):
        h = F.relu(self.in_(x))
        if self.second:
            h = F.relu(self.second(h))
        return self.shaped(self.out(h))
