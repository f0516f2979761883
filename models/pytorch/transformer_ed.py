# transformer_ed.py - the Transformer with encoder and decoder, forecasting in one pass (Vaswani et al. 2017, arXiv:1706.03762)
# needs: seq2seq


def causal_attention(f):
    def attend(q, k, v):
        return attention(q, k, v, allowed_keys(torch.ones(1, k.shape[1], dtype=torch.bool), causal=True))

    return attend


class transformer_ed_model(Seq2Seq):
    def __init__(self, p, f):
        super().__init__(p, f, causal_attention)
