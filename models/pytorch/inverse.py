# inverse.py - a pseudo-inverse by products alone (Razavi et al. 2014, as in arXiv:2102.03902, section 3.2.3)


def iterative_inverse(a, iterations, least, batch):
    """a (B, H, m, m) -> Z after so many iterations, from a^T over the largest column sum, at least `least`; batch: the
    largest of all matrices."""
    columns = a.sum(-2)
    largest = columns.max() if batch else columns.amax(-1)[..., None, None]
    z, one = a.transpose(-1, -2) / largest.clamp(min=least), torch.eye(a.shape[-1])
    for _ in range(iterations):
        p = a @ z
        z = z @ (13 * one - p @ (15 * one - p @ (7 * one - p))) / 4
    return z
