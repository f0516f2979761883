# s4d.py - a diagonal state space as a long convolution (Gu et al. 2022, arXiv:2206.11893)
# needs: long_convolution
#
# x' = A x + u, y = 2 Re(C x) + D u for each channel, A diagonal, held over steps of size dt (zero-order hold). Run as
# a long convolution with K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n), then GLU(Wout gelu(y) + b). Not
# causal: a second C gives the kernel of the future, 1, 2, ... steps away.
# Departs: inputs at padding are 0; the kernel is made in double, since l dt Im A has many turns.


class s4d_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, R = f.dim, 1 if f.causal else 2
        M = p.state // 2  # complex modes, which stand for their conjugates too
        self.log_dt = parameter(D)
        self.log_a_re = parameter(D, M)
        self.a_im = parameter(D, M)
        self.c = parameter(R, D, M, 2)  # real part, imaginary part
        self.d = parameter(D)
        self.out = Dense(D, 2 * D)

    def kernels(self, L):
        dt = self.log_dt.double().exp()[:, None]
        A = torch.complex(-self.log_a_re.double().exp(), self.a_im.double())
        C = torch.view_as_complex(self.c.double())
        w = C * ((dt * A).exp() - 1) / A
        powers = ((dt * A)[..., None] * torch.arange(L, dtype=torch.float64)).exp()  # (D, M, L)
        return 2 * torch.einsum("rdm,dml->rdl", w, powers).real

    def forward(self, x, run):
        u = x * run.mask[..., None]
        y = long_convolution(u, *self.kernels(x.shape[1]).to(x.dtype)) + self.d * u
        return F.glu(self.out(F.gelu(y)), dim=-1)
