# short_convolution.py - the short causal convolution in front of recurrent mixers


def short_convolution(x, w, b=None):
    """Depthwise, causal: y_t = sum_j w[k - 1 - j] x_(t-j) + b; x (B, L, D), w (k, D), b (D)."""
    k = w.shape[0]
    x = F.pad(x.transpose(1, 2), (k - 1, 0))
    return F.conv1d(x, w.t()[:, None], b, groups=w.shape[1]).transpose(1, 2)
