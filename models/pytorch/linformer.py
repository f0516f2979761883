# linformer.py - attention to a fixed number of mixed keys (Wang et al. 2020, arXiv:2006.04768, equation 7)
# needs: attention
#
# softmax(q (E^T k)^T / sqrt(d)) (F^T v) with E, F (longest sequence, rank) over positions, shared by all heads; share:
# F is E. form=lra is google-research/long-range-arena, lra_benchmarks/models/linformer/linformer_attention.py, which
# mixes padding in.
# Departs: form=paper sets keys and values at padding to 0 before they are mixed.


class linformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.lra = p.form == "lra"
        self.e = parameter(f.length, p.rank)
        self.f = None if p.share else parameter(f.length, p.rank)

    def forward(self, x, run):
        q, k, v = self.project(x)
        if not self.lra:
            k, v = (t * run.mask[:, :, None, None] for t in (k, v))
        e = self.e[: x.shape[1]]
        f = e if self.f is None else self.f[: x.shape[1]]
        k, v = torch.einsum("lr,blhd->brhd", e, k), torch.einsum("lr,blhd->brhd", f, v)
        every = torch.ones(k.shape[1], dtype=torch.bool)
        return self.merge(attention(q, k, v, every))
