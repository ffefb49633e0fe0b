"""Scores with prototypes against torch's weight normalisation, and the switch of their gradient."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trivium.objectives.codebook import perplexity
from trivium.objectives.heads import Prototypes


def gradients(module, features, upstream):
    features = features.clone().requires_grad_()
    scores = module(features)
    (scores * upstream).sum().backward()
    return scores.detach(), features.grad


def test_scores_and_gradients_equal_weight_normalisation():
    ours, theirs = Prototypes(8, 5), nn.Linear(8, 5, bias=False)
    with torch.no_grad():
        ours.weight.mul_(torch.rand(5, 1) + 0.5)
        theirs.weight.copy_(ours.weight)
    theirs = nn.utils.parametrizations.weight_norm(theirs)
    with torch.no_grad():
        theirs.parametrizations.weight.original0.fill_(1)
    features, upstream = torch.randn(7, 8), torch.randn(7, 5)
    expected = gradients(lambda x: theirs(F.normalize(x, dim=1)), features, upstream)
    torch.testing.assert_close(gradients(ours, features, upstream), expected)
    torch.testing.assert_close(ours.weight.grad, theirs.parametrizations.weight.original1.grad)


def test_frozen_prototypes_score_the_same_and_stay_connected():
    prototypes = Prototypes(8, 5)
    features, upstream = torch.randn(7, 8), torch.randn(7, 5)
    expected = gradients(prototypes, features, upstream)
    prototypes.weight.grad = None
    prototypes.learning.fill_(0)
    torch.testing.assert_close(gradients(prototypes, features, upstream), expected, rtol=0, atol=0)
    assert torch.equal(prototypes.weight.grad, torch.zeros(5, 8))


def test_scores_are_float32_cosines_under_autocast():
    prototypes = Prototypes(8, 5)
    features = torch.randn(7, 8)
    expected = F.cosine_similarity(features[:, None], prototypes.weight, dim=2)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(prototypes(features), expected)


@pytest.mark.parametrize(("share", "expected"), [([1.0, 0, 0], 1), ([0.5, 0.5, 0], 2)])
def test_perplexity_counts_groups_in_use(share, expected):
    assert perplexity(torch.tensor(share)).item() == pytest.approx(expected)
