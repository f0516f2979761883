# lru.py - linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349)
# needs: diagonal_ssm
#
# s_t = a s_(t-1) + exp(gamma) (B u_t), y_t = Re(C s_t) + D u_t with complex states that all channels share and a =
# exp(-exp(nu) + i exp(theta)), inside the unit circle; then GLU(Wout gelu(y) + b). Not causal: a second scan from the
# end, with a C of its own.
# Departs: c holds Re C and -Im C; inputs at padding are 0.


class lru_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, P, R = f.dim, p.state, 1 if f.causal else 2
        self.ring = parameter(3, P)  # nu, theta, gamma
        self.b = parameter(D, 2, P)
        self.c = parameter(R, 2, P, D)
        self.d = parameter(D)
        if p.out == "glu":
            self.out = Dense(D, 2 * D)

    def forward(self, x, run):
        nu, theta, gamma = self.ring
        a = torch.complex(-nu.exp(), theta.exp()).exp()
        B = torch.complex(self.b[:, 0], self.b[:, 1])
        y = diagonal_ssm(x * run.mask[..., None], a, gamma.exp() * B, self.c, self.d)
        return F.glu(self.out(F.gelu(y)), dim=-1) if hasattr(self, "out") else y
