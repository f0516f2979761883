# transformer.py - multi-head softmax attention (Vaswani et al. 2017, arXiv:1706.03762, section 3.2)
# needs: attention holes


class transformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)

    def forward(self, x, run):
        q, k, v = self.project(x)
        if run.valid is not None:
            return self.merge(attention_with_holes(q, k, v, run.valid))
        return self.merge(attention(q, k, v, allowed_keys(run.mask, run.causal)))
