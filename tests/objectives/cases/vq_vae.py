import torch

from trivium.objectives.codebook import Codebook


def loss(first, second, labels):
    """Commitment to a codebook that has learnt from all ranks' first views."""
    codebook = Codebook(3, 4, decay=0.5, restart=1e-6)
    codebook.codes.copy_(torch.eye(3, 4))
    codebook.counts.fill_(2.0)
    codebook.sums.copy_(2 * codebook.codes)
    valid = labels < 2
    codebook(first, valid, learn=True)
    codes, _, perplexity = codebook(second, labels < 3, learn=True)
    return (second - codes).square().mean() + perplexity
