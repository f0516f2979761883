# whole.py - a model that is one variant


def whole_run(x, run, stream=None):
    """Of blocks within a model that make tokens of their own: all positions of x count."""
    batch, length = x.shape[:2]
    lengths, mask = torch.full((batch,), length), torch.ones(batch, length, dtype=torch.bool)
    return run.but(lengths=lengths, mask=mask, valid=None, stream={} if stream is None else stream)


def marks_of(run):
    """Features of the times of the L + H rows (B, L + H, marks), each in [-0.5, 0.5]"""
    if run.marks is None:
        raise SystemExit("the model reads the times of rows; give their features with --marks")
    return run.marks


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = model_facts()
        variant, parameters = PARTS["model"]
        self.whole = variant(Facts(**parameters), self.f)

    def forward(self, x, lengths=None, marks=None):
        """x (B, L, C) and features of the times of L + H rows -> forecasts (B, H, outputs)"""
        return self.whole(x, model_run(self.f, x, lengths, marks))
