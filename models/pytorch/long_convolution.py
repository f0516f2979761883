# long_convolution.py - convolutions as long as the sequence


def long_convolution(u, past, future=None):
    """y_t = sum_{s <= t} past[t - s] u_s + sum_{s > t} future[s - t - 1] u_s for each channel, by FFT:
    u (B, L, D), past and future (D, L) -> (B, L, D)."""
    L = u.shape[1]
    k = F.pad(past, (0, L))
    if future is not None:
        k = k + F.pad(future.flip(-1), (L, 0))
    y = torch.fft.irfft(torch.fft.rfft(u.transpose(1, 2), 2 * L) * torch.fft.rfft(k), 2 * L)
    return y[..., :L].transpose(1, 2)
