# instance.py - normalisation of each window of a forecast, undone behind the model (RevIN, Kim et al. 2022)


class Instance(nn.Module):
    """Over the L rows of each channel: norm: mean and deviation; affine: with weights behind; last: the last row in place of
    the mean; none: nothing."""

    def __init__(self, kind, f):
        super().__init__()
        self.kind, self.outputs = kind, f.outputs
        if kind == "affine":
            self.weight, self.bias = parameter(f.channels), parameter(f.channels)

    def forward(self, x):
        """x normalised, and what undo needs"""
        if self.kind == "none":
            return x, None
        deviation = (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        centre = x[:, -1:] if self.kind == "last" else x.mean(1, keepdim=True)
        x = (x - centre) / deviation
        if self.kind == "affine":
            x = x * self.weight + self.bias
        return x, (centre, deviation)

    def undo(self, y, statistics):
        """y (B, H, outputs): the last channels"""
        if self.kind == "none":
            return y
        centre, deviation = (s[..., -self.outputs :] for s in statistics)
        if self.kind == "affine":
            y = (y - self.bias[-self.outputs :]) / (self.weight[-self.outputs :] + 1e-10)
        return y * deviation + centre
