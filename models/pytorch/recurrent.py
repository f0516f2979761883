# recurrent.py - a mixer of one recurrent network, or of two that begin at both ends


class Recurrent(nn.Module):
    """network(D, H, back) gives h (B, L, H) from x (B, L, D) and the mask."""

    def __init__(self, network, p, f):
        super().__init__()
        both = p.bidirectional and not f.causal
        H = p.hidden if p.hidden > 0 else f.dim // (2 if both else 1)
        self.past = network(f.dim, H, back=False)
        if both:
            self.future = network(f.dim, H, back=True)
        width = 2 * H if both else H
        if width != f.dim:
            self.wo = Dense(width, f.dim, f.bias)

    def forward(self, x, run):
        h = self.past(x, run.mask)
        if hasattr(self, "future"):
            h = torch.cat([h, self.future(x, run.mask)], -1)
        return self.wo(h) if hasattr(self, "wo") else h
