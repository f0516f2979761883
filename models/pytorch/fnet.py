# fnet.py - the real part of a Fourier transform (Lee-Thorp et al. 2021, arXiv:2105.03824, equation 3)
#
# y = Re(FFT over positions of FFT over channels of x) (equation 3); scale=root divides by sqrt(L dim). No parameters.
# Rows at padding are 0 before and after; the transform is that of the padded length, so answers depend on it.


class fnet_mixer(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.root = p.scale == "root"

    def forward(self, x, run):
        mask = run.mask[..., None]
        y = torch.fft.fft2(x * mask).real
        if self.root:
            y = y / (x.shape[1] * x.shape[2]) ** 0.5
        return y * mask
