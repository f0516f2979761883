# over_time.py - a linear map over time, each channel alone (Zeng et al. 2022, arXiv:2205.13504, section 4.2)


class OverTime(nn.Module):
    """x (B, outputs, L) -> (B, outputs, H) by one map for all channels, or, individual, one for each"""

    def __init__(self, individual, f):
        super().__init__()
        each = (f.outputs,) if individual else ()
        self.w = parameter(*each, f.length, f.horizon)
        self.b = parameter(*each, *((1,) if individual else ()), f.horizon)

    def forward(self, x):
        if self.w.dim() == 2:
            return x @ self.w + self.b
        return torch.einsum("bol,olh->boh", x, self.w) + self.b[:, 0]


def channels_as_rows(x, outputs):
    """x (B, L, C) -> (B, outputs, L), the last channels"""
    return x[..., -outputs:].transpose(1, 2)
