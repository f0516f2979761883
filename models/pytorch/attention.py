# attention.py - heads, and softmax attention over allowed keys


class Heads(nn.Module):
    """q, k and v (B, L, H, d) of x, and back. A mixer's class is one, so that its names are wq.w, wk.w, wv.w, wo.w."""

    def __init__(self, f, names=("wq", "wk", "wv"), out=True):
        super().__init__()
        self.heads, self.head_dim = f.heads, f.head_dim
        for name in names:
            setattr(self, name, Dense(f.dim, f.qkv, f.bias))
        if out:
            self.wo = Dense(f.qkv, f.dim, f.bias)

    def split(self, x):
        return x.unflatten(-1, (self.heads, self.head_dim))

    def project(self, x):
        return self.split(self.wq(x)), self.split(self.wk(x)), self.split(self.wv(x))

    def merge(self, o):
        return self.wo(o.flatten(2))


def allowed_keys(mask, causal, queries=None):
    """(B, 1, Lq, Lk): key j is valid and, when causal, not later than the query."""
    allowed = mask[:, None, None, :]
    if causal:
        allowed = allowed & torch.ones(queries or mask.shape[1], mask.shape[1], dtype=torch.bool).tril()
    return allowed


def masked_softmax(scores, allowed):
    """Rows without an allowed key become 0."""
    weights = scores.masked_fill(~allowed, -math.inf).softmax(-1)
    return torch.nan_to_num(weights, nan=0.0)


def attention(q, k, v, allowed, scale=None):
    """q (B, Lq, H, d), k and v (B, Lk, H, d), allowed broadcasts to (B, H, Lq, Lk) -> (B, Lq, H, d)"""
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * (scale or 1 / math.sqrt(q.shape[-1]))
    return torch.einsum("bhqk,bkhd->bqhd", masked_softmax(scores, allowed), v)
