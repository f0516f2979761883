# mamba.py - selective state space in the block of Mamba (Gu and Dao 2023, arXiv:2312.00752)
# needs: short_convolution
#
# u, z = Wx x, Wz x of E = expand dim channels; u = silu(conv(u) + b); (delta, b_t, c_t) = Wp u; dt = softplus(Wdt
# delta + b_dt); A = -exp(a_log); h_t = exp(dt_t A) h_(t-1) + dt_t b_t u_t, y_t = c_t h_t + d u_t (algorithm 2); out =
# Wo (y silu(z)). Not causal, which the paper does not have: a second conv, Wp, Wdt, A and d see the sequence from its
# end, and both y are added before the gate.


class selective_ssm(nn.Module):
    """One direction; back: from the last valid position."""

    def __init__(self, p, E, rank, back):
        super().__init__()
        N = p.state
        self.back, self.sizes = back, (rank, N, N)
        self.conv = Dense(p.conv, E)  # w (taps, E) and b
        self.wp = Dense(E, rank + 2 * N, False)
        self.dt = Dense(rank, E)
        self.a_log = parameter(N, E)
        self.d = parameter(E)

    def forward(self, u, mask):
        if self.back:
            u = u * mask[..., None]
            u = short_convolution(u.flip(1), self.conv.w.flip(0), self.conv.b).flip(1)
        else:
            u = short_convolution(u, self.conv.w, self.conv.b)
        u = F.silu(u)
        delta, b, c = self.wp(u).split(self.sizes, -1)
        dt = F.softplus(self.dt(delta))  # (B, L, E)
        A = -self.a_log.exp()  # (N, E)
        h, y = 0, [None] * u.shape[1]
        for t in reversed(range(u.shape[1])) if self.back else range(u.shape[1]):
            h = (dt[:, t, None] * A).exp() * h + b[:, t, :, None] * (dt * u)[:, t, None]  # (B, N, E)
            h = h * mask[:, t, None, None]
            y[t] = (c[:, t, :, None] * h).sum(1) + self.d * u[:, t]
        return torch.stack(y, 1)


class mamba_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, E = f.dim, p.expand * f.dim
        rank = p.rank if p.rank > 0 else (D + 15) // 16
        self.wx = Dense(D, E, False)
        self.wz = Dense(D, E, False)
        self.forth = selective_ssm(p, E, rank, back=False)
        if p.bidirectional and not f.causal:
            self.back = selective_ssm(p, E, rank, back=True)
        self.wo = Dense(E, D, False)

    def forward(self, x, run):
        u = self.wx(x)
        y = self.forth(u, run.mask)
        if hasattr(self, "back"):
            y = y + self.back(u, run.mask)
        return self.wo(y * F.silu(self.wz(x)))
