# linear_transformer.py - the kernel phi(q) . phi(k), phi(x) = elu(x) + 1 (Katharopoulos et al. 2020, arXiv:2006.16236,
# equations 5 to 7)
# needs: attention kernel
#
# form=lra is google-research/long-range-arena, lra_benchmarks/models/linear_transformer/linear_attention.py, where
# padding is let in.


class linear_transformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.lra = p.form == "lra"

    def forward(self, x, run):
        q, k, v = self.project(x)
        mask = torch.ones_like(run.mask) if self.lra else run.mask
        return self.merge(kernel_attention(F.elu(q) + 1, F.elu(k) + 1, v, allowed_keys(mask, run.causal), add=1e-6))
