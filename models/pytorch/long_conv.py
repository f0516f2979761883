# long_conv.py - long convolutions whose taps are the parameters (Fu et al. 2023, arXiv:2302.06646)
# needs: long_convolution
#
# y = K * u + D u for each channel, K = sign(k) max(|k| - shrink, 0), then GLU(Wout gelu(y) + b). Not causal: a second k
# gives the taps of the future, 1, 2, ... steps away. taps > 0: K is 0 from there on.
# Departs: inputs at padding are 0.


class long_conv_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, R = f.dim, 1 if f.causal else 2
        self.shrink = p.shrink
        self.k = parameter(R, D, p.taps or f.length)
        self.d = parameter(D, 1)
        self.out = Dense(D, 2 * D)

    def forward(self, x, run):
        L, T = x.shape[1], self.k.shape[2]
        k = F.pad(F.softshrink(self.k, self.shrink), (0, max(L - T, 0)))[..., :L]
        u = x * run.mask[..., None]
        y = long_convolution(u, *k) + self.d[:, 0] * u
        return F.glu(self.out(F.gelu(y)), dim=-1)
