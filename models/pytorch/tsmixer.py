# tsmixer.py - perceptrons over time and over channels in turn (Chen et al. 2023, arXiv:2303.06053)
# Departs: no normalisation in a block, as thuml/Time-Series-Library has it
# needs: instance over_time


class TwoLayers(nn.Module):
    """x + relu(x W1 + b1) W2 + b2"""

    def __init__(self, width, hidden):
        super().__init__()
        self.in_ = Dense(width, hidden)
        self.out = Dense(hidden, width)

    def forward(self, x):
        return x + self.out(F.relu(self.in_(x)))


class TimeAndChannels(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.time = TwoLayers(f.length, f.dim)
        self.channels = TwoLayers(f.channels, f.dim)

    def forward(self, x):
        return self.channels(self.time(x.transpose(1, 2)).transpose(1, 2))


class tsmixer_model(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.outputs = f.outputs
        self.instance = Instance(p.norm, f)
        self.blocks = nn.ModuleList(TimeAndChannels(f) for _ in range(f.layers))
        self.head = Dense(f.length, f.horizon)

    def forward(self, x, run):
        x, statistics = self.instance(x)
        for block in self.blocks:
            x = block(x)
        y = self.head(channels_as_rows(x, self.outputs)).transpose(1, 2)
        return self.instance.undo(y, statistics)
