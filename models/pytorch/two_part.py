# two_part.py - the two sequences of a pair side by side, as the code of Long Range Arena has it


class two_part_pair(nn.Module):
    def __init__(self, p, f):
        super().__init__()
        self.width = 2 * f.dim

    def forward(self, x, run):
        return torch.cat([x[0::2], x[1::2]], -1)
