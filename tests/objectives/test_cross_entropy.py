"""Cross-entropy against its formula; mixup and cutmix against closed forms of mixed batches."""

import copy
import math

import pytest
import torch

from trivium.objectives.supervised.cross_entropy import CrossEntropy

OFF = {"label_smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_loss_and_accuracy_follow_the_formula(encoder, data, two_views, label_smoothing):
    objective = CrossEntropy(encoder, data, **OFF | {"label_smoothing": label_smoothing})
    terms = objective(two_views)
    logits = objective.classifier(encoder(two_views.views[0].values).pooled)
    log_p = (logits.exp() / logits.exp().sum(1, keepdim=True)).log()
    target = torch.full((6, 3), label_smoothing / 3)
    target[torch.arange(6), two_views.labels] += 1 - label_smoothing
    torch.testing.assert_close(terms["loss"], -(target * log_p).sum(1).mean())
    hits = sum(int(row.argmax()) == y for row, y in zip(logits, two_views.labels, strict=True))
    assert terms["accuracy"].item() == pytest.approx(hits / 6)


def one_hot(labels):
    return torch.eye(3)[labels]


def test_mixup_averages_neighbours_and_their_labels_alike(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, **OFF | {"mixup": 1.0})
    values, labels = two_views.views[0].values, two_views.labels
    original = values.clone()
    mixed, targets = objective.mix(values, labels)
    assert torch.equal(values, original)
    other = values[[5, 0, 1, 2, 3, 4]]
    share = ((mixed - other) / (values - other)).median()
    assert 0.01 < share < 0.99
    torch.testing.assert_close(mixed, share * values + (1 - share) * other)
    expected = share * one_hot(labels) + (1 - share) * one_hot(labels[[5, 0, 1, 2, 3, 4]])
    torch.testing.assert_close(targets, expected)


def test_cutmix_pastes_one_box_and_mixes_labels_by_its_area(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, **OFF | {"cutmix": 1.0})
    values, labels = two_views.views[0].values, two_views.labels
    mixed, targets = objective.mix(values, labels)
    pasted = (mixed != values)[:, 0]
    box = pasted.any(2).unsqueeze(2) & pasted.any(1).unsqueeze(1)
    assert torch.equal(pasted, box)
    assert torch.equal(pasted, pasted[:1].expand_as(pasted))
    assert 0 < pasted[0].sum() < 64
    other = values[[5, 0, 1, 2, 3, 4]]
    assert torch.equal(mixed, torch.where(pasted.unsqueeze(1), other, values))
    share = 1 - pasted[0].float().mean()
    expected = share * one_hot(labels) + (1 - share) * one_hot(labels[[5, 0, 1, 2, 3, 4]])
    torch.testing.assert_close(targets, expected)


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 0.4}])
def test_loss_smooths_mixed_labels_and_accuracy_takes_the_dominant(
    encoder, data, two_views, mixing
):
    objective = CrossEntropy(encoder, data, **OFF | mixing | {"label_smoothing": 0.1})
    torch.manual_seed(3)
    mixed, targets = objective.mix(two_views.views[0].values, two_views.labels)
    torch.manual_seed(3)
    terms = objective(two_views)
    logits = objective.classifier(encoder(mixed).pooled)
    smoothed = 0.9 * targets + 0.1 / 3
    torch.testing.assert_close(terms["loss"], -(smoothed * logits.log_softmax(1)).sum(1).mean())
    hits = (logits.argmax(1) == targets.argmax(1)).float().mean()
    assert terms["accuracy"] == hits


def test_with_both_each_batch_gets_one_of_them(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, **OFF | {"mixup": 1.0, "cutmix": 1.0})
    values = two_views.views[0].values
    num_averaged = 0
    for _ in range(60):
        mixed, _ = objective.mix(values, two_views.labels)
        num_averaged += not ((mixed == values) | (mixed == values.roll(1, 0))).all()
    assert 15 < num_averaged < 45


def test_mixing_follows_torchs_seed_and_rests_outside_of_training(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, **OFF | {"mixup": 0.2, "cutmix": 0.2})
    losses = []
    for each in (objective, copy.deepcopy(objective)):
        torch.manual_seed(8)
        losses.append([each(two_views)["loss"].item() for _ in range(3)])
    assert losses[0] == losses[1]
    values = two_views.views[0].values
    same, targets = objective.eval().mix(values, two_views.labels)
    assert same is values
    assert torch.equal(targets, one_hot(two_views.labels))


def test_mixup_takes_sequences_of_values(encoder, data, two_views):
    sound = data._replace(modality="audio")
    objective = CrossEntropy(encoder, sound, **OFF | {"mixup": 1.0})
    mixed, targets = objective.mix(torch.eye(6, 50), two_views.labels)
    assert mixed.shape == (6, 50)
    torch.testing.assert_close(mixed.sum(1), torch.ones(6))
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


@pytest.mark.parametrize(
    ("modality", "mixing"), [("audio", "cutmix"), ("text", "cutmix"), ("text", "mixup")]
)
def test_what_cannot_be_mixed_is_refused(encoder, data, modality, mixing):
    with pytest.raises(ValueError, match=f"set objective.{mixing} to 0"):
        CrossEntropy(encoder, data._replace(modality=modality), **OFF | {mixing: 0.2})


def test_a_uniform_guess_sits_on_the_plateau(encoder, data, two_views):
    objective = CrossEntropy(encoder, data, label_smoothing=0.1, mixup=0.5, cutmix=0.0)
    torch.nn.init.zeros_(objective.classifier.weight)
    torch.nn.init.zeros_(objective.classifier.bias)
    assert objective(two_views)["loss"].item() == pytest.approx(math.log(3))
    assert objective.plateau(64) == pytest.approx(math.log(3))
