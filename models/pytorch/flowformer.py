# flowformer.py - attention as a flow that is conserved (Wu et al. 2022, arXiv:2202.06258, equations 4 to 9)
# needs: attention kernel
#
# Queries are sinks with incoming flow I, keys are sources with outgoing flow O, phi = sigmoid. With both conserved,
# sources compete (softmax of their flow) and sinks are allocated (sigmoid of theirs). causal: sums up to the position,
# and counts of positions up to it. form=lra is thuml/Flowformer,
# Flowformer_LRA/lra_benchmarks/models/flowformer/flow_attention.py: phi = relu + 1e-6, the sources' flow is not held
# within -1 and 1, padding counts, and the softmax runs over heads.
# Departs: the last division is by phi q . sum phi k + 1e-6; padding is in no sum.


class flowformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.lra, self.eps = p.form == "lra", 1e-6

    def flow(self, x, sums):
        """(B, L, H, 1)"""
        return ((x + self.eps) * (sums + self.eps)).sum(-1, keepdim=True)

    def forward(self, x, run):
        q, k, v = self.project(x)
        phi = (lambda y: F.relu(y) + self.eps) if self.lra else torch.sigmoid
        q, k = phi(q), phi(k)
        mask = torch.ones_like(run.mask) if self.lra else run.mask
        there = mask[:, :, None, None].float()

        def sums(y):
            return y.cumsum(1) if run.causal else (y * there).sum(1, keepdim=True)

        # positions that are summed over; not causal: they cancel in the flows
        count = sums(torch.ones_like(there))
        n = count if run.causal else 1
        sink, source = self.flow(q, sums(k)), self.flow(k, sums(q))
        conserved_sink = self.flow(q, sums(k * n / source)) / n
        conserved_source = self.flow(k, sums(q * n / sink)) / n
        if self.lra:
            competition = conserved_source.softmax(2)
        else:
            e = conserved_source.clamp(-1, 1).exp()
            competition = e / sums(e)
        o = kernel_attention(q, k, v * competition * count, allowed_keys(mask, run.causal), add=self.eps)
        return self.merge(conserved_sink.sigmoid() * o)
