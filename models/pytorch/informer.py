# informer.py - ProbSparse attention, distilling between encoder layers, the horizon in one pass (Zhou et al. 2021,
# arXiv:2012.07436; zhouhaoyi/Informer2020)
# needs: seq2seq prob_attention


class informer_model(Seq2Seq):
    def __init__(self, p, f):
        def attention_of(at):
            key = node_key(f"{at.scope}.self", "prob_pick")

            def attend(q, k, v):
                mask = torch.ones(k.shape[:2], dtype=torch.bool)
                o = prob_attention(q, k, v, mask, p.factor, key, causal=True)
                # mix=1: heads and time are exchanged before heads are merged, as in the published code
                return o.transpose(1, 2).reshape(o.shape) if p.mix else o

            return attend

        super().__init__(p, f, attention_of, p.distil, p.padding)
