# performer.py - softmax attention by random features, FAVOR+ (Choromanski et al. 2021, arXiv:2009.14794)
# needs: attention kernel
#
# Weights phi(q) . phi(k), with rows w_f of W (features, d) that are drawn once and lie beside the weights:
#     softmax: phi(x) = exp(w_f . x' - |x'|^2 / 2 - c) + eps, x' = x / d^(1/4); c is the largest w_f . x' of the query,
#              for keys of all valid keys (causal: 0, as it would look ahead)
#     relu:    phi(x) = relu(w_f . x) + 1e-3; features=0: relu(x) + 1e-3
# form=lra is google-research/long-range-arena, lra_benchmarks/models/performer: padding counts.
# Departs: m^(-1/2) is left out, as it cancels; 1e-15 m is added to the denominator.


class performer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.relu, self.eps, self.lra = p.kernel == "relu", p.eps, p.form == "lra"
        if p.features > 0:
            self.register_buffer("features", torch.zeros(p.features, f.head_dim))
        else:
            self.features = None

    def projected(self, x):
        return x if self.features is None else x @ self.features.T

    def softmax_features(self, x, largest):
        """largest: makes c of w . x'."""
        x = x * x.shape[-1] ** -0.25
        u = self.projected(x)
        return (u - x.square().sum(-1, keepdim=True) / 2 - largest(u)).exp() + self.eps

    def forward(self, x, run):
        q, k, v = self.project(x)
        mask = torch.ones_like(run.mask) if self.lra else run.mask
        allowed = allowed_keys(mask, run.causal)
        if self.relu:
            q, k = F.relu(self.projected(q)) + 1e-3, F.relu(self.projected(k)) + 1e-3
            return self.merge(kernel_attention(q, k, v, allowed, add=1e-15))

        def of_keys(u):
            return 0 if run.causal else u.masked_fill(~mask[:, :, None, None], -math.inf).amax((1, 3), keepdim=True)

        q = self.softmax_features(q, lambda u: u.amax(-1, keepdim=True))
        k = self.softmax_features(k, of_keys)
        return self.merge(kernel_attention(q, k, v, allowed, add=1e-15 * len(self.features)))
