# nlinear.py - linear forecast of the differences from the last value (Zeng et al. 2022, arXiv:2205.13504, section 4.2)
# needs: over_time


class nlinear_model(OverTime):
    def __init__(self, p, f):
        super().__init__(p.individual, f)
        self.outputs = f.outputs

    def forward(self, x, run):
        x = channels_as_rows(x, self.outputs)
        last = x[..., -1:]
        return (super().forward(x - last) + last).transpose(1, 2)
