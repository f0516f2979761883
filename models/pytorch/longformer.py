# longformer.py - a sliding window, and to and from some global positions (Beltagy et al. 2020, arXiv:2004.05150)
# needs: attention holes
#
# A row that is not global attends to the valid positions of its window and to the global ones; a global one to all
# valid ones with projections of its own (wqg, wkg, wvg). The first `globals` positions are global. form=lra is
# google-research/long-range-arena, lra_benchmarks/models/longformer/longformer_attention.py: the window is one
# position shorter on the left, no position is global, and nothing reads the second projections.
# Departs: no dilation.


class longformer_mixer(Heads):
    def __init__(self, p, f):
        own = ("wqg", "wkg", "wvg") if p.form == "lra" or p.globals > 0 else ()
        super().__init__(f, ("wq", "wk", "wv", *own))
        self.globals = 0 if p.form == "lra" else p.globals
        self.right = p.window // 2
        self.left = p.window - self.right - 1 if p.form == "lra" else self.right

    def forward(self, x, run):
        g, t = self.globals, torch.arange(x.shape[1])
        i, j = t[:, None], t[None, :]
        pairs = (i - self.left <= j) & (j <= i + self.right) | (j < g)
        q, k, v = self.project(x)
        if run.valid is not None:
            return self.merge(mean_in_holes(attention_with_holes(q, k, v, run.valid, pairs), v, run.valid))
        allowed = allowed_keys(run.mask, run.causal)
        o = attention(q, k, v, allowed & pairs)
        if g > 0:
            own = attention(self.split(self.wqg(x)), self.split(self.wkg(x)), self.split(self.wvg(x)), allowed)
            o = torch.where((t < g)[:, None, None], own, o)
        return self.merge(o)
