# mean.py - mean over the valid positions; over=padded divides by the padded length instead


class mean_pool(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.padded = p.over == "padded"

    def forward(self, x, run):
        rows = x.shape[1] if self.padded else run.lengths.clamp(min=1)[:, None]
        return (x * run.mask[:, :, None]).sum(1) / rows
