# gru.py - gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)
# needs: recurrent
#
# r, k = sigmoid(W x_t + b + U h_(t-1)); a = tanh(W_a x_t + b_a + r (U_a h_(t-1) + d)); h_t = k h_(t-1) + (1 - k) a,
# the reset after the product, as nn.GRU has it. Not causal: a second network from the last valid position back, h of
# both side by side. Where that is not as wide as the stream, a projection Wo.
# Departs: one bias for r and k, where nn.GRU has two that add up.


class gru_network(nn.Module):
    def __init__(self, D, H, back):
        super().__init__()
        self.back, self.hidden = back, H
        self.wx = parameter(D, 3 * H)  # r, k, a side by side
        self.bx = parameter(3 * H)
        self.wh = parameter(H, 3 * H)
        self.bh = parameter(H)

    def forward(self, x, mask):
        B, L, _ = x.shape
        from_x = x @ self.wx + self.bx
        h, out = x.new_zeros(B, self.hidden), [None] * L
        for t in reversed(range(L)) if self.back else range(L):
            xr, xk, xa = from_x[:, t].chunk(3, -1)
            hr, hk, ha = (h @ self.wh).chunk(3, -1)
            r, k = torch.sigmoid(xr + hr), torch.sigmoid(xk + hk)
            a = torch.tanh(xa + r * (ha + self.bh))
            h = (k * h + (1 - k) * a) * mask[:, t, None]  # at padding h stays 0
            out[t] = h
        return torch.stack(out, 1)


class gru_mixer(Recurrent):
    def __init__(self, p, f):
        super().__init__(gru_network, p, f)
