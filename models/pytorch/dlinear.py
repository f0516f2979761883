# dlinear.py - linear forecasts of trend and remainder (Zeng et al. 2022, arXiv:2205.13504, section 4.2)
# needs: over_time


class dlinear_model(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.kernel, self.outputs = p.kernel, f.outputs
        self.trend = OverTime(p.individual, f)
        self.season = OverTime(p.individual, f)

    def forward(self, x, run):
        x = channels_as_rows(x, self.outputs)
        half = self.kernel // 2
        ends = F.pad(x, (half, half), mode="replicate")
        trend = F.avg_pool1d(ends, self.kernel, stride=1)
        return (self.trend(trend) + self.season(x - trend)).transpose(1, 2)
