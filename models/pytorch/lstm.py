# lstm.py - long short-term memory (Hochreiter and Schmidhuber 1997)
# needs: recurrent
#
# i, f, a, o = W x_t + b + U h_(t-1); c_t = s(f) c_(t-1) + s(i) tanh(a); h_t = s(o) tanh(c_t), s the sigmoid. Not
# causal: a second network from the last valid position back, h of both side by side. Where that is not as wide as the
# stream, a projection Wo.
# Departs: one bias a gate, where nn.LSTM has two that add up.


class lstm_network(nn.Module):
    def __init__(self, D, H, back):
        super().__init__()
        self.back, self.hidden = back, H
        self.wx = parameter(D, 4 * H)  # i, f, a, o side by side
        self.bx = parameter(4 * H)
        self.wh = parameter(H, 4 * H)

    def forward(self, x, mask):
        B, L, _ = x.shape
        from_x = x @ self.wx + self.bx
        c = h = x.new_zeros(B, self.hidden)
        out = [None] * L
        for t in reversed(range(L)) if self.back else range(L):
            i, f, a, o = (from_x[:, t] + h @ self.wh).chunk(4, -1)
            valid = mask[:, t, None]  # at padding c and h stay 0
            c = (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(a)) * valid
            h = torch.sigmoid(o) * torch.tanh(c) * valid
            out[t] = h
        return torch.stack(out, 1)


class lstm_mixer(Recurrent):
    def __init__(self, p, f):
        super().__init__(lstm_network, p, f)
