"""Cross-entropy against its formula."""

import math

import pytest
import torch

from trivium.objectives.supervised.cross_entropy import CrossEntropy


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_loss_and_accuracy_follow_the_formula(encoder, data, two_views, label_smoothing):
    objective = CrossEntropy(encoder, data, label_smoothing=label_smoothing)
    terms = objective(two_views)
    logits = objective.classifier(encoder(two_views.views[0].values).pooled)
    log_p = (logits.exp() / logits.exp().sum(1, keepdim=True)).log()
    target = torch.full((6, 3), label_smoothing / 3)
    target[torch.arange(6), two_views.labels] += 1 - label_smoothing
    torch.testing.assert_close(terms["loss"], -(target * log_p).sum(1).mean())
    hits = sum(int(row.argmax()) == y for row, y in zip(logits, two_views.labels, strict=True))
    assert terms["accuracy"].item() == pytest.approx(hits / 6)


def test_a_uniform_guess_sits_on_the_plateau(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, label_smoothing=0.1)
    torch.nn.init.zeros_(objective.classifier.weight)
    torch.nn.init.zeros_(objective.classifier.bias)
    assert objective(two_views)["loss"].item() == pytest.approx(math.log(3))
    assert objective.plateau(64) == pytest.approx(math.log(3))
