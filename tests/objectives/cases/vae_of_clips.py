import torch

from trivium.encoders.patches import Patches
from trivium.objectives.latent import negative_log_likelihood
from trivium.types import DataSpec

STEM = Patches(DataSpec("tiny", "image", (1, 2, 2), 3, 8, (0.4,), (0.25,)), patch=1)
ENDS = {(0, 1, 0, 2): [4, 4, 4, 4], (1, 1, 0, 2): [4, 1, 2, 3]}
"""Valid tokens of each sample by the labels of a rank: all of one rank, but not of the other."""


def loss(first, second, labels):
    """The likelihood of valid tokens under one variance for the whole batch."""
    ends = [end for half in labels.view(-1, 4).tolist() for end in ENDS[tuple(half)]]
    valid = torch.arange(4) < torch.tensor(ends)[:, None]
    return negative_log_likelihood(STEM, (first - second).square(), valid)
