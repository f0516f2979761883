# head.py - what heads give: logits (B, classes), of tags (B, L, classes), or a forecast (B, horizon, outputs)


class Head(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.rows = (f.horizon, f.outputs) if f.kind == "forecast" else None
        self.outputs = f.horizon * f.outputs if f.kind == "forecast" else f.classes

    def shaped(self, y):
        return y.unflatten(1, self.rows) if self.rows else y
