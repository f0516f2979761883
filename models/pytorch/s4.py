# s4.py - a state space with a diagonal plus low-rank matrix as a long convolution (Gu et al. 2021, arXiv:2111.00396)
# needs: long_convolution
#
# x' = A x + B u, y = 2 Re(C x) + D u for each channel with A = Lambda - P P* ("diagonal plus low rank"), made
# discrete by the bilinear rule: Abar = (I - dt/2 A)^-1 (I + dt/2 A), Bbar = (I - dt/2 A)^-1 dt B, K_l = C Abar^l
# Bbar. Stored is Ct = C (I - Abar^n), n a power of two, so that the transform of K at w = exp(-2 pi i m / n), the
# generating function of the paper, needs only Cauchy sums k_xy = sum x y dt / (z - dt Lambda) at z = 2 (1 - w) / (1 +
# w): Khat(m) = 2 / (1 + w) (k_CtB - k_CtP k_P*B / (1 + k_P*P)). Then y = K * u + D u, GLU(Wout gelu(y) + b). Not
# causal: a second C gives the kernel of the future.
# Departs: log_dt is the logarithm of the step; modes have positive imaginary parts; inputs at padding are 0; the
# kernel is made in double.


class s4_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, R = f.dim, 1 if f.causal else 2
        M = p.state // 2  # complex modes, which stand for their conjugates too
        S = p.copies if p.copies > 0 else D  # channel h has copy h mod S of A, B and P
        self.log_dt = parameter(D)
        self.log_a_re = parameter(S, M)
        self.a_im = parameter(S, M)
        self.b = parameter(S, M, 2)  # real part, imaginary part
        self.p = parameter(S, M, 2)
        self.c = parameter(R, D, M, 2)  # Ct
        self.d = parameter(D)
        self.out = Dense(D, 2 * D)
        self.points = 2  # n
        while self.points < f.length:
            self.points *= 2

    def kernels(self, L):
        copies = self.log_dt.shape[0] // self.a_im.shape[0]
        dt = self.log_dt.double().exp()[:, None]
        Lambda = torch.complex(-self.log_a_re.double().exp(), self.a_im.double()).repeat(copies, 1)
        B = torch.view_as_complex(self.b.double()).repeat(copies, 1)
        P = torch.view_as_complex(self.p.double()).repeat(copies, 1)
        Ct = torch.view_as_complex(self.c.double())
        angle = math.pi * torch.arange(self.points // 2, dtype=torch.float64) / self.points
        z = 2j * torch.tan(angle)  # 2 (1 - w) / (1 + w); 2 / (1 + w) is 1 + z / 2

        def cauchy(v):  # (..., D, M) -> [..., D, n / 2]: over the modes and their conjugates
            v, pole = (dt * v)[..., None], (dt * Lambda)[..., None]
            return (v / (z - pole) + v.conj() / (z - pole.conj())).sum(-2)

        low_rank = cauchy(P.conj() * B) / (1 + cauchy(P.conj() * P))
        spectrum = (1 + z / 2) * (cauchy(Ct * B) - cauchy(Ct * P) * low_rank)
        last = (dt * (Ct * B).real).sum(-1, keepdim=True)  # the limit at w = -1, where z is infinite
        return torch.fft.irfft(torch.cat([spectrum, last + 0j], -1), self.points)[..., :L]

    def forward(self, x, run):
        u = x * run.mask[..., None]
        y = long_convolution(u, *self.kernels(x.shape[1]).to(x.dtype)) + self.d * u
        return F.glu(self.out(F.gelu(y)), dim=-1)
