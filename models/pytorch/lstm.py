# lstm.py - long short-term memory (Hochreiter and Schmidhuber 1997)
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


class lstm_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        both = p.bidirectional and not f.causal
        H = p.hidden if p.hidden > 0 else f.dim // (2 if both else 1)
        self.past = lstm_network(f.dim, H, back=False)
        if both:
            self.future = lstm_network(f.dim, H, back=True)
        width = 2 * H if both else H
        if width != f.dim:
            self.wo = Dense(width, f.dim, f.bias)

    def forward(self, x, run):
        h = self.past(x, run.mask)
        if hasattr(self, "future"):
            h = torch.cat([h, self.future(x, run.mask)], -1)
        return self.wo(h) if hasattr(self, "wo") else h
