# mega.py - gated single-head attention over a moving average (Ma et al. 2022, arXiv:2209.10655)
# needs: long_convolution
#
# m = SiLU(ema(x)), the damped moving average of each channel by a convolution (section 3.1; not causal: and one from
# the other side); u = sigmoid(m Wu), (z, r) = SiLU(m Wzr), q and k = z gain + shift, v = SiLU(x Wv); o = attention of
# one head with a bias by distance, inside chunks; out = u (SiLU(m Wh + (o r) Wc) - x_0), x_0 the stream that the
# block adds it to, so that the sum is u h + (1 - u) x_0.
# Departs: no rotary bias; chunks need not divide the length.


class mega_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, N, R = f.dim, p.ema, 1 if f.causal else 2
        Z, E = p.z, p.v if p.v > 0 else 2 * D
        self.causal, self.attention, self.taps, self.widths = f.causal, p.attention, p.taps, (Z, E)
        self.chunk = min(p.chunk, f.length) if p.chunk > 0 else f.length
        self.delta = parameter(R, D, N)
        self.alpha = parameter(R, D, N)
        self.beta = parameter(R, D, N)
        self.gamma = parameter(R, D, N)
        self.omega = parameter(D)
        self.wv = Dense(D, E)
        self.wu = Dense(D, D)
        self.wzr = Dense(D, Z + E)
        self.wh = Dense(D, D)
        self.wc = Dense(E, D)
        self.gain = parameter(2, Z)  # of q, of k
        self.shift = parameter(2, Z)
        self.bias = parameter(2 * self.chunk - 1)  # of distance j - i at j - i + chunk - 1

    def moving_average(self, x):
        """h_t = q h_(t-1) + p beta x_t, y_t = sum_n gamma_n h_(t,n) / sqrt(N) + omega x_t"""
        p = torch.sigmoid(self.delta)
        q = 1 - p * torch.sigmoid(self.alpha)
        L, N = x.shape[1], self.delta.shape[-1]
        k = torch.einsum("rdn,rdnl->rdl", self.gamma * p * self.beta / N**0.5, q[..., None] ** torch.arange(L + 1))
        if self.taps > 0:
            k[..., self.taps :] = 0
        y = self.omega * x
        if self.causal:
            return y + long_convolution(x, k[0, :, :L])
        return y + k[1, :, 0] * x + long_convolution(x, k[0, :, :L], k[1, :, 1:])  # both sides have lag 0

    def attend(self, q, k, v, run):
        i = torch.arange(q.shape[1])
        chunk = i // self.chunk
        seen = (chunk[:, None] == chunk) & run.mask[:, None, :]  # (B, L, L)
        if self.causal:
            seen = seen & (i <= i[:, None])
        distance = (i - i[:, None]).clamp(1 - self.chunk, self.chunk - 1)
        bias, dots = self.bias[distance + self.chunk - 1], q @ k.transpose(1, 2)
        if self.attention == "softmax":
            scores = dots / q.shape[-1] ** 0.5 + bias
            weights = torch.softmax(scores.masked_fill(~seen, -math.inf), -1)
            return weights.masked_fill(~seen, 0) @ v
        # scores are divided by the chunk's valid positions; causal: by the position's number in its chunk
        count = (i % self.chunk + 1)[:, None] if self.causal else seen.sum(-1, keepdim=True).clamp(min=1)
        scores = dots / count + bias
        if self.attention == "laplace":
            weights = 0.5 * (1 + torch.erf((scores - 0.5**0.5) / ((0.25 / math.pi) ** 0.5 * 2**0.5)))
        else:
            weights = torch.relu(scores) ** 2
        return weights.masked_fill(~seen, 0) @ v

    def forward(self, x, run):
        m = F.silu(self.moving_average(x * run.mask[..., None]))
        u = torch.sigmoid(self.wu(m))
        z, r = F.silu(self.wzr(m)).split(self.widths, -1)
        q, k = z * self.gain[0] + self.shift[0], z * self.gain[1] + self.shift[1]
        o = self.attend(q, k, F.silu(self.wv(x)), run)
        h = F.silu(self.wh(m) + self.wc(o * r))
        return u * (h - run.stream.get("residual", x))
