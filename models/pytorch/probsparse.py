# probsparse.py - Informer's ProbSparse attention as a mixer
# needs: prob_attention


class probsparse_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)
        self.factor, self.key = p.factor, node_key(f.scope, "prob_pick")

    def forward(self, x, run):
        q, k, v = self.project(x)
        return self.merge(prob_attention(q, k, v, run.mask, self.factor, self.key))
