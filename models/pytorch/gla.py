# gla.py - gated linear attention, as the recurrence (Yang et al. 2023, arXiv:2312.06635, equation 3)
#
# In each head S_t = diag(a_t) S_(t-1) + k_t v_t^T, o_t = S_t^T q_t (equation 3), q = Wq x / sqrt(d), a = sigmoid(Wa2
# Wa1 x + b)^(1 / temperature); out = Wo (norm of each head of o, times silu(Wg x)). Not causal, which the paper does
# not have: the same from the end is added, the position itself counted once.


class gla_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, H = f.dim, f.heads
        d = int(p.expand_k * D / H + 1e-9)  # width of a head's keys
        self.heads, self.temperature = H, p.temperature
        self.both = p.bidirectional and not f.causal
        self.wq = Dense(D, H * d, False)
        self.wk = Dense(D, H * d, False)
        self.wv = Dense(D, D, False)
        self.wg = Dense(D, D, False)
        self.wa1 = Dense(D, p.rank, False)
        self.wa2 = Dense(p.rank, H * d)
        self.gain = parameter(D // H)
        self.wo = Dense(D, D, False)

    def forward(self, x, run):
        B, L, D = x.shape
        projections = self.wq(x), self.wk(x), self.wv(x), self.wa2(self.wa1(x))
        q, k, v, a = (y.view(B, L, self.heads, -1) for y in projections)
        q = q / q.shape[-1] ** 0.5
        a = torch.exp(F.logsigmoid(a) / self.temperature)
        k = k * run.mask[..., None, None]  # padding writes nothing

        def recurrence(positions):
            S, o = 0, [None] * L
            for t in positions:
                S = a[:, t, ..., None] * S + k[:, t, ..., None] * v[:, t, :, None]  # (B, H, d, D / H)
                o[t] = torch.einsum("bhd,bhde->bhe", q[:, t], S)
            return torch.stack(o, 1)

        o = recurrence(range(L))
        if self.both:
            o = o + recurrence(reversed(range(L))) - (q * k).sum(-1, keepdim=True) * v
        o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + 1e-5) * self.gain
        return self.wo(o.flatten(2) * F.silu(self.wg(x)))
