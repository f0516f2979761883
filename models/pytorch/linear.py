# linear.py - linear forecast of the series itself (Zeng et al. 2022, arXiv:2205.13504, section 4.2)
# needs: over_time


class linear_model(OverTime):
    def __init__(self, p, f):
        super().__init__(p.individual, f)
        self.outputs = f.outputs

    def forward(self, x, run):
        return super().forward(channels_as_rows(x, self.outputs)).transpose(1, 2)
