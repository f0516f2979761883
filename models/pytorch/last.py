# last.py - the last valid position; an empty row gives 0


class last_pool(nn.Module):
    def __init__(self, p, f):
        super().__init__()

    def forward(self, x, run):
        rows = x[torch.arange(len(x)), (run.lengths - 1).clamp(min=0)]
        return rows * (run.lengths > 0)[:, None]
