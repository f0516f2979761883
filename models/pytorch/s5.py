# s5.py - one state space with many inputs and outputs, by a scan (Smith et al. 2022, arXiv:2208.04933)
# needs: diagonal_ssm
#
# One state space of P = state / 2 complex modes that all channels share, x' = A x + B u, y = 2 Re(C x) + D u, with A
# diagonal and a step for each mode, held over it (zero-order hold) or bilinear: x_t = a x_(t-1) + f B u_t. Not
# causal: a second scan from the end, with a C of its own. Then an activation.
# Departs: modes have positive imaginary parts; c holds Re C and -Im C; inputs at padding are 0.


class s5_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, P, R = f.dim, p.state // 2, 1 if f.causal else 2
        self.lambda_ = parameter(2, P)  # A: real parts, imaginary parts
        self.log_step = parameter(P)
        self.b = parameter(D, 2, P)
        self.c = parameter(R, 2, P, D)
        self.d = parameter(D)
        if p.act == "full_glu":
            self.out = Dense(D, 2 * D)
        elif p.act.startswith("half_glu"):
            self.out = Dense(D, D)
        self.bilinear, self.clip, self.act = p.disc == "bilinear", p.clip, p.act

    def discrete(self):
        """a, and f of the inputs"""
        dt = self.log_step.double().exp()
        re, im = self.lambda_.double()
        A = torch.complex(re.clamp(max=-1e-4) if self.clip else re, im)
        if self.bilinear:
            return (1 + dt / 2 * A) / (1 - dt / 2 * A), dt / (1 - dt / 2 * A)
        return (dt * A).exp(), ((dt * A).exp() - 1) / A

    def forward(self, x, run):
        u = x * run.mask[..., None]
        a, f = (v.to(torch.complex(u, u).dtype) for v in self.discrete())
        B = torch.complex(self.b[:, 0], self.b[:, 1])
        y = diagonal_ssm(u, a, 2 * f * B, self.c, self.d)
        g = F.gelu(y)
        if self.act == "none":
            return y
        if self.act == "gelu":
            return g
        if self.act == "full_glu":
            return F.glu(self.out(g), dim=-1)
        return (y if self.act == "half_glu2" else g) * torch.sigmoid(self.out(g))
