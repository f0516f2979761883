# deltanet.py - linear attention that writes by the delta rule (Yang et al. 2024, arXiv:2406.06484; Schlag et al.
# 2021, arXiv:2102.11174)
# needs: short_convolution
#
# q, k, v = silu(conv(W x)); in each head q and k over their lengths, q / sqrt(d), beta = sigmoid(Wb x); S_t = S_(t-1)
# + beta_t k_t (v_t - S_(t-1)^T k_t)^T, o_t = S_t^T q_t; out = Wo (norm of each head of o). Not causal, which the
# papers do not have: the same from the end, of the same q, k, v and beta, is added.


class deltanet_taps(nn.Module):
    def __init__(self, count, width):
        super().__init__()
        self.w = parameter(count, width)


class deltanet_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, H = f.dim, f.heads
        self.heads, self.largest_beta = H, 2 if p.negative else 1
        self.both = p.bidirectional and not f.causal
        self.wq = Dense(D, D, False)
        self.wk = Dense(D, D, False)
        self.wv = Dense(D, D, False)
        if p.conv > 0:
            self.convq = deltanet_taps(p.conv, D)
            self.convk = deltanet_taps(p.conv, D)
            self.convv = deltanet_taps(p.conv, D)
        self.conv = p.conv > 0
        self.wb = Dense(D, H, False)
        self.gain = parameter(D // H)
        self.wo = Dense(D, D, False)

    def forward(self, x, run):
        B, L, D = x.shape
        q, k, v = self.wq(x), self.wk(x), self.wv(x)
        if self.conv:
            q = F.silu(short_convolution(q, self.convq.w))
            k = F.silu(short_convolution(k, self.convk.w))
            v = F.silu(short_convolution(v, self.convv.w))
        q, k, v = (y.view(B, L, self.heads, -1) for y in (q, k, v))
        q = q * torch.rsqrt(q.square().sum(-1, keepdim=True) + 1e-6) / q.shape[-1] ** 0.5
        k = k * torch.rsqrt(k.square().sum(-1, keepdim=True) + 1e-6)
        beta = self.largest_beta * torch.sigmoid(self.wb(x)) * run.mask[..., None]  # padding writes nothing

        def recurrence(positions):
            S, o = x.new_zeros(B, self.heads, D // self.heads, D // self.heads), [None] * L
            for t in positions:
                error = v[:, t] - torch.einsum("bhd,bhde->bhe", k[:, t], S)
                S = S + torch.einsum("bhd,bhe->bhde", k[:, t], beta[:, t, :, None] * error)
                o[t] = torch.einsum("bhd,bhde->bhe", q[:, t], S)
            return torch.stack(o, 1)

        o = recurrence(range(L))
        if self.both:
            o = o + recurrence(reversed(range(L)))
        o = o * torch.rsqrt(o.square().mean(-1, keepdim=True) + 1e-5) * self.gain
        return self.wo(o.flatten(2))
