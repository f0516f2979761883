# tide.py - a perceptron of one channel's look-back and the times of all rows (Das et al. 2023, arXiv:2304.08424)
# Departs: the last block has no norm, which would leave 0 of its single number (temporal_norm=1 has it)
# needs: instance over_time


class ResidualBlock(nn.Module):
    def __init__(self, inputs, hidden, outputs, norm=True):
        super().__init__()
        self.in_ = Dense(inputs, hidden)
        self.out = Dense(hidden, outputs)
        self.skip = Dense(inputs, outputs)
        self.norm = norm
        if norm:
            self.gain = parameter(outputs)
            self.bias = parameter(outputs)

    def forward(self, x):
        y = self.out(F.relu(self.in_(x))) + self.skip(x)
        return F.layer_norm(y, y.shape[-1:], self.gain, self.bias, 1e-5) if self.norm else y


def block_stack(n, inputs, f, outputs):
    widths = [inputs] + [f.dim] * (n - 1) + [outputs]
    return nn.ModuleList(ResidualBlock(widths[i], f.dim, widths[i + 1]) for i in range(n))


class tide_model(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.f, self.decode = f, p.decode
        width = 2 if f.marks else 0  # numbers of a row's time
        self.instance = Instance(p.norm, f)
        self.skip = Dense(f.length, f.horizon)
        self.features = ResidualBlock(f.marks, f.dim, width) if width else None
        self.encoder = block_stack(f.layers, f.length + (f.length + f.horizon) * width, f, f.dim)
        self.decoder = block_stack(p.decoder_layers, f.dim, f, p.decode * f.horizon)
        self.temporal = ResidualBlock(p.decode + width, f.ffn, 1, norm=bool(p.temporal_norm))

    def forward(self, x, run):
        f = self.f
        x, statistics = self.instance(x)
        x = channels_as_rows(x, f.outputs)
        y = x
        if self.features:
            times = self.features(marks_of(run))  # (B, L + H, 2)
            y = torch.cat([x, times.flatten(1)[:, None].expand(-1, f.outputs, -1)], -1)
        for block in [*self.encoder, *self.decoder]:
            y = block(y)
        y = y.unflatten(-1, (f.horizon, self.decode))
        if self.features:
            y = torch.cat([y, times[:, None, f.length :].expand(-1, f.outputs, -1, -1)], -1)
        y = self.temporal(y)[..., 0] + self.skip(x)
        return self.instance.undo(y.transpose(1, 2), statistics)
