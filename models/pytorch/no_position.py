# no_position.py - order reaches the model through the mixer alone


class no_position_position(nn.Module):
    def __init__(self, p, f):
        super().__init__()

    def forward(self, x, run):
        return x
