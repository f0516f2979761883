# hyena.py - gates and long convolutions with implicit filters (Poli et al. 2023, arXiv:2302.10866)
# needs: long_convolution short_convolution
#
# (x_1, ..., x_N, v) = conv(Win x + b_in) + b, short, depthwise, causal, N = order; for o = N down to 2: v = x_o v,
# then v = k_o * v + b_o v, a long convolution; out = Wout (x_1 v) + b_out. The filters are k_o(t) = MLP(t) times a
# window exp(-|delta| t) + shift, the MLP with sine activations on (t, cos w_j t, sin w_j t) (section 3.3), t from 0
# to 1 over the longest sequence of the task. Not causal, which the paper does not have: a second filter for the
# future, 1, 2, ... steps away.


class hyena_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, N, W = f.dim, p.order, p.width
        M = (N - 1) * D  # filters
        self.dim, self.order, self.shift = D, N, p.shift
        self.win = Dense(D, (N + 1) * D)
        self.conv = Dense(p.conv, (N + 1) * D)  # w (taps, channels) and b
        self.register_buffer("z", torch.zeros(f.length, p.emb))  # features of positions; t first
        self.register_buffer("delta", torch.zeros(M))  # -|delta|
        self.frequency = parameter(W)
        self.filter1 = Dense(p.emb, W)
        self.filter2 = Dense(W, W)
        self.filter3 = Dense(W, W)
        self.filter = Dense(W, M, False)
        if p.bidirectional and not f.causal:
            self.future = Dense(W, M, False)
        self.bias = parameter(M, 1)
        self.wout = Dense(D, D)

    def filters(self, L):
        """k of the past and, or None, of the future, each (M, L)"""
        z = h = self.z[:L]
        for layer in (self.filter1, self.filter2, self.filter3):
            h = torch.sin(self.frequency * layer(h))
        window = torch.exp(z[:, :1] * self.delta) + self.shift
        past = (self.filter(h) * window).t()
        return past, (self.future(h) * window).t() if hasattr(self, "future") else None

    def forward(self, x, run):
        D, N = self.dim, self.order
        *gates, v = short_convolution(self.win(x), self.conv.w, self.conv.b).split(D, -1)  # x_1 ... x_N, v
        past, future = self.filters(x.shape[1])
        for o in range(N, 1, -1):
            v = gates[o - 1] * v * run.mask[..., None]
            rows = slice((o - 2) * D, (o - 1) * D)
            v = long_convolution(v, past[rows], None if future is None else future[rows]) + self.bias[rows, 0] * v
        return self.wout(gates[0] * v)
