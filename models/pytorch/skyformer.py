# skyformer.py - Gaussian kernel attention through sampled positions (Chen et al. 2021, arXiv:2111.00035, sections 4.1
# to 4.3)
# needs: attention draws inverse
# draws: skyformer_sample
#
# C ~ A_q D^-1/2 Z D^-1/2 A_k^T v of C_ij = exp(-|q_i - k_j|^2 / 2), q and k times d^(-1/4): `landmarks` points sampled
# from the valid positions, the first half of them queries, the others keys; A_q and A_k the kernel of q and of k with
# the points; G the points' with each other, plus jitter I; D = diag(row sums of G), Z the inverse of D^-1/2 G D^-1/2 by
# iterations. landmarks=0: the points are all queries and all keys. form=lra: pkuzengqi/Skyformer, where q and k are
# scaled by 32^(-1/4) whatever d is, and the inverse has one start for the batch.
# Departs: the same numbers between 0 and 1 choose the positions of every row of a batch.


class skyformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.landmarks, self.iterations, self.jitter, self.lra = p.landmarks, p.iterations, p.jitter, p.form == "lra"
        self.scope = f.scope

    def sampled(self, x, run, node, first, count):
        """Rows of x at floor(u n) of the n valid positions, u = draws number first, first + 1, ... of that node"""
        if self.landmarks == 0:
            return x * run.mask[:, :, None, None]
        u = random_uniform(node_key(self.scope, "skyformer_sample", node), np.arange(first, first + count))
        place = (torch.tensor(u) * run.lengths[:, None]).long()
        return x[torch.arange(len(x))[:, None], place]

    def kernel(self, x, y):
        """(B, H, Lx, Ly)"""
        x, y = x.transpose(1, 2), y.transpose(1, 2)
        squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]
        return (x @ y.transpose(-1, -2) - squares / 2).exp()

    def forward(self, x, run):
        q, k, v = self.project(x)
        q, k = (t * (32 if self.lra else self.head_dim) ** -0.25 for t in (q, k))
        m = self.landmarks or 2 * x.shape[1]
        points = [self.sampled(q, run, 0, 0, m // 2), self.sampled(k, run, 1, m // 2, m - m // 2)]
        points = torch.cat(points, 1)
        g = self.kernel(points, points) + self.jitter * torch.eye(m)
        root = g.sum(-1, keepdim=True).rsqrt()
        z = iterative_inverse(root * g * root.transpose(2, 3), self.iterations, least=0, batch=self.lra)
        y = (self.kernel(points, k) * run.mask[:, None, None, :]) @ v.transpose(1, 2)
        y = self.kernel(q, points) @ (root * (z @ (root * y)))
        return self.merge(y.transpose(1, 2))
