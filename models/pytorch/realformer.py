# realformer.py - softmax attention whose scores are added to those of the layer before (He et al. 2020, arXiv:2012.11747)
# needs: attention


class realformer_mixer(Heads):
    def __init__(self, p, f):
        super().__init__(f)

    def forward(self, x, run):
        q, k, v = self.project(x)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(self.head_dim)
        before = run.stream.get("scores")
        if before is not None and before.shape == scores.shape:
            scores = scores + before
        run.stream["scores"] = scores
        weights = masked_softmax(scores, allowed_keys(run.mask, run.causal))
        return self.merge(torch.einsum("bhqk,bkhd->bqhd", weights, v))
