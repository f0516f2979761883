# retnet.py - retention, in its parallel form (Sun et al. 2023, arXiv:2307.08621, equation 5)
#
# In its parallel form (equation 5): q = rot(Wq x), k = rot(Wk x) / sqrt(d), v = Wv x; o_t = sum over s <= t of
# a^(t-s) (q_t . k_s) v_s with a decay a for each head; out = Wo (norm of each head of o, times silu(Wg x)). Not
# causal, which the paper does not have: over every s, with a^|t-s|.
# Departs: the normalisers of equation (7) are left out, since the norm of each head divides them away.


def rotate_pairs(x):
    """Pairs of channels of x (B, L, H, d) by an angle that grows with the position"""
    d = x.shape[-1]
    rate = 10000 ** -torch.linspace(0, 1, d // 2, dtype=torch.float64)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * rate  # (L, 1, d / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


class retnet_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, E = f.dim, p.expand * f.dim
        self.heads, self.causal = f.heads, f.causal or not p.bidirectional
        self.wq = Dense(D, D, False)
        self.wk = Dense(D, D, False)
        self.wv = Dense(D, E, False)
        self.wg = Dense(D, E, False)
        self.wo = Dense(E, D, False)
        self.register_buffer("decay", torch.zeros(f.heads))  # a = 1 - 2^(-5 - h)

    def forward(self, x, run):
        B, L, D = x.shape
        q, k, v = (w(x).view(B, L, self.heads, -1) for w in (self.wq, self.wk, self.wv))
        q, k = rotate_pairs(q), rotate_pairs(k) / k.shape[-1] ** 0.5
        t = torch.arange(L)
        distance = t[:, None] - t  # t - s
        weight = self.decay[:, None, None] ** distance.abs()  # (H, L, L)
        if self.causal:
            weight = weight * (distance >= 0)
        weight = weight * run.mask[:, None, None, :]  # (B, H, L, L)
        o = torch.einsum("bthd,bshd->bhts", q, k) * weight
        o = torch.einsum("bhts,bshe->bthe", o, v)
        o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + 1e-6)
        return self.wo(o.flatten(2) * F.silu(self.wg(x)))
