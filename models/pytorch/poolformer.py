# poolformer.py - the mean of a window less the position itself (Yu et al. 2022, arXiv:2111.11418)
#
# y_t = s (mean of x over the window of t, less x_t), s a learned scale for each channel (LayerScale).
# Departs: one dimension; positions of padding do not count; causal, which the paper does not have: the window ends at
# t.


class poolformer_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.before = p.window - 1 if f.causal else (p.window - 1) // 2
        self.behind = p.window - 1 - self.before
        if p.layerscale > 0:
            self.scale = parameter(f.dim)

    def window_sum(self, x):
        return F.pad(x, (0, 0, self.before, self.behind)).unfold(1, self.before + self.behind + 1, 1).sum(-1)

    def forward(self, x, run):
        mask = run.mask[..., None].to(x.dtype)
        y = self.window_sum(x * mask) / self.window_sum(mask).clamp(min=1) - x
        return y * self.scale if hasattr(self, "scale") else y
