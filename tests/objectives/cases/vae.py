from trivium.encoders.patches import Patches
from trivium.objectives.latent import negative_log_likelihood
from trivium.types import DataSpec

STEM = Patches(DataSpec("tiny", "image", (1, 2, 2), 3, 8, (0.4,), (0.25,)), patch=1)


def loss(first, second, labels):
    """The likelihood under one variance for the whole batch."""
    return negative_log_likelihood(STEM, (first - second).square())
