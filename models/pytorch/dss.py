# dss.py - diagonal state spaces with the softmax kernel (Gupta et al. 2022, arXiv:2203.14343)
# needs: long_convolution
#
# K_l = Re sum_n W_n / Lambda_n softmax_l(lambda_n l), lambda = dt_re Re Lambda + i dt_im Im Lambda, the softmax over
# all positions that the model is made for; or, version=exp, K_l = Re sum_n W_n (exp(lambda_n) - 1) / Lambda_n
# exp(lambda_n l) with Re Lambda = -exp(.). Then y = K * u + D u and Wout gelu(y) + b. Not causal: a second W gives
# the kernel of the future, 1, 2, ... steps away.
# Departs: the authors' softmax runs over the positions of a batch; inputs at padding are 0; kernels in double.


class dss_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        D, N, R = f.dim, p.state, 1 if f.causal else 2
        self.log_dt = parameter(D, 2)  # of the real part of Lambda, of its imaginary part
        self.lambda_ = parameter(N, 2)
        self.w = parameter(R, D, N, 2)
        self.d = parameter(D)
        self.out = Dense(D, D)
        self.softmax, self.eps, self.positions = p.version == "softmax", p.eps, f.length

    def kernels(self, L):
        dt = self.log_dt.double().exp()
        re, im = self.lambda_.double().unbind(-1)
        if not self.softmax:
            re = -re.exp()
        Lambda = torch.complex(re, im)
        rate = torch.complex(dt[:, :1] * re, dt[:, 1:] * im)  # lambda (D, N)
        if self.softmax:
            # softmax_l = exp(l lambda) (exp(lambda) - 1) / (exp(m lambda) - 1); where Re Lambda > 0 from the far end,
            # exp((l - m + 1) lambda) (exp(-lambda) - 1) / (exp(-m lambda) - 1), which cannot overflow
            m, grows = self.positions, re > 0
            sign = 1 - 2 * grows.double()
            first = torch.where(grows, m - 1, 0)
            x = ((sign * m * rate).exp() - 1) * Lambda
            gain = ((sign * rate).exp() - 1) * x.conj() / (x.abs() ** 2 + self.eps)  # 1 / x, of a small x regularised
        else:
            first = torch.zeros_like(re)
            gain = (rate.exp() - 1) * Lambda.conj() / (Lambda.abs() ** 2).clamp(min=self.eps)
        steps = torch.arange(L, dtype=torch.float64) - first[:, None]  # (N, L)
        powers = (rate[..., None] * steps).exp()  # (D, N, L)
        return torch.einsum("rdn,dnl->rdl", torch.view_as_complex(self.w.double()) * gain, powers).real

    def forward(self, x, run):
        u = x * run.mask[..., None]
        y = long_convolution(u, *self.kernels(x.shape[1]).to(x.dtype)) + self.d * u
        return self.out(F.gelu(y))
