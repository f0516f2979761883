# mlp.py - the two-layer perceptron of the Transformer block (Vaswani et al. 2017, arXiv:1706.03762, section 3.3)
# Departs: GELU (exact) in place of ReLU


class mlp_channel(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.in_ = Dense(f.dim, f.ffn)
        self.out = Dense(f.ffn, f.dim)

    def forward(self, x, run):
        return self.out(F.gelu(self.in_(x)))
