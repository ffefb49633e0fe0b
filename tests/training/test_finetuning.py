"""Fine-tuning on generated pictures: what is trained, and how it is examined."""

import hashlib
from dataclasses import replace

import hydra.utils
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from trivium.encoders.vit import ViT
from trivium.evaluation.linear import LinearProbe
from trivium.evaluation.protocol import Protocol, evaluate
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.budget import Budget
from trivium.training.finetune import FineTuning, finetune, train_classifier
from trivium.training.optimizer import WarmupCosine
from trivium.training.settings import TrainerSettings
from yamls import read

VIEWS = OmegaConf.to_container(read("views/image.yaml"))
TRAINER = OmegaConf.to_container(read("trainer/default.yaml"))
FACTS = {"dataset": "synthetic", "objective": "mae", "seed": 3, "task": "shape"}


def with_lr(lr):
    return lambda groups: torch.optim.AdamW(groups, lr=lr)


@pytest.fixture
def encoder(store):
    torch.manual_seed(0)
    return ViT(store.spec("shape"), name="t", patch=8, width=16, depth=2, num_heads=2).eval()


@pytest.fixture
def how():
    return FineTuning(
        objective=lambda encoder, data: CrossEntropy(
            encoder, data, label_smoothing=0.0, mixup=0.0, cutmix=0.0
        ),
        views=hydra.utils.instantiate(VIEWS["plain"]),
        optimisers={1e-3: with_lr(1e-3)},
        schedule=WarmupCosine(warmup=0.1),
        weight_decay=0.05,
        budget=Budget(steps=5),
        trainer=TrainerSettings(**{**TRAINER, "batch_size": 64, "precision": "32-true"}),
        layer_decay=0.75,
        seed=3,
    )


def weights(objective):
    digest = hashlib.sha256()
    for tensor in objective.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def tuned(how, encoder, store, items=None):
    items = store.split("train") if items is None else items
    return train_classifier(how, encoder, store, "shape", 1e-3, items, "t")


def test_a_seed_gives_the_same_bits_and_a_layer_decay_others(how, encoder, store):
    before = weights(encoder)
    first, again = (weights(tuned(how, encoder, store).objective) for _ in range(2))
    assert first == again
    assert weights(encoder) == before
    others = [replace(how, seed=4), replace(how, layer_decay=1.0)]
    assert len({first, *(weights(tuned(o, encoder, store).objective) for o in others)}) == 3


def test_every_layer_learns(how, encoder, store):
    after = dict(tuned(how, encoder, store).objective.encoder.named_parameters())
    assert not any(torch.equal(one, after[name]) for name, one in encoder.named_parameters())


def test_the_price_is_that_of_supervised_steps(how, encoder, store):
    one = tuned(replace(how, budget=Budget(steps=1)), encoder, store).flops
    bought = tuned(replace(how, budget=Budget(flops=3.5 * one)), encoder, store)
    assert bought.flops == 3 * one
    # Forward and backward of a matrix product on the way: about three times its forward.
    linear = sum(p.numel() for name, p in encoder.named_parameters() if p.ndim > 1)
    assert 0.5 < one / (3 * 2 * linear * 16 * 64) < 2


def test_few_labels_make_a_small_batch(how, encoder, store):
    items, _ = store.fraction(0.1, 0, "shape")
    assert len(items) < 64
    small = tuned(replace(how, budget=Budget(steps=1)), encoder, store, items).flops
    assert small < tuned(replace(how, budget=Budget(steps=1)), encoder, store).flops


def test_a_budget_in_seconds_ends(how, encoder, store):
    assert tuned(replace(how, budget=Budget(seconds=0.2)), encoder, store).flops > 0


def test_it_beats_chance_on_generated_pictures(how, encoder, store):
    longer = replace(how, budget=Budget(steps=150), optimisers={4e-3: with_lr(4e-3)})
    found = finetune(
        longer, encoder, store, Protocol(fractions=(1.0,)), FACTS, checkpoint="c", task="shape"
    )
    targets = found.predictions["labels"]
    assert np.array_equal(targets, store.labels("shape")[store.split("test")])
    (accuracy,) = (
        r["value"] for r in found.records if (r["split"], r["metric"]) == ("test", "accuracy")
    )
    assert accuracy == (found.predictions["finetune/1.0/0"] == targets).mean()
    most = np.bincount(targets).max() / len(targets)
    assert accuracy > most + 3 * np.sqrt(most * (1 - most) / len(targets))
    assert {(r["probe"], r["lr"]) for r in found.records} == {("finetune", 4e-3)}
    assert {r["metric"] for r in found.records if r["split"] == "validation"} == {
        "accuracy", "cross_entropy",
    }  # fmt: skip
    assert found.facts["finetuning"]["layer_decay"] == 0.75


class Stub:
    """Stands for a training: keeps which items it was given, and answers as its rate says."""

    flops = 7

    def __init__(self, store, lr, asked):
        self.store, self.lr, self.asked = store, lr, asked

    def log_probabilities(self, store, items):
        self.asked.append(items)
        right = store.labels("shape")[items]
        num_classes = len(store.meta.tasks["shape"])
        shares = np.full((len(items), num_classes), (1 - self.lr) / (num_classes - 1))
        shares[np.arange(len(items)), right] = self.lr
        return np.log(shares)


@pytest.fixture
def stubbed(monkeypatch):
    """Trainings that are none, and what they were given: (learning rate, items)."""
    trained, asked = [], []

    def instead(settings, encoder, store, task, lr, items, label):
        trained.append((lr, items))
        if lr > 1:
            raise FloatingPointError(f"at {lr}")
        return Stub(store, lr, asked)

    monkeypatch.setattr("trivium.training.finetune.train_classifier", instead)
    return trained, asked


def test_the_labelled_items_are_those_of_the_linear_probe(
    how, encoder, store, stubbed, monkeypatch
):
    protocol = Protocol(fractions=(0.3, 1.0), num_draws=2, probes=("linear",), C=(1.0,))
    chosen_by, fitted = [], LinearProbe.fit

    def watched(self, features, labels, *, validation):
        chosen_by.append((features[:, 0].astype(int), validation[0][:, 0].astype(int)))
        return fitted(self, features, labels, validation=validation)

    monkeypatch.setattr(LinearProbe, "fit", watched)
    numbers = np.arange(store.num_items, dtype=np.float32)[:, None]
    evaluate(numbers, store, protocol, FACTS, checkpoint="c", task="shape")
    trained, asked = stubbed
    finetune(how, encoder, store, protocol, FACTS, checkpoint="c", task="shape")
    assert len(chosen_by) == 3
    for (items, validation), tried, last in zip(
        chosen_by, trained[::2], trained[1::2], strict=True
    ):
        assert np.array_equal(tried[1], items)
        assert np.array_equal(last[1], np.union1d(items, validation))
    assert [len(o) for o in asked[1::2]] == [len(store.split("test"))] * 3
    assert all(np.array_equal(o, c[1]) for o, c in zip(asked[::2], chosen_by, strict=True))


def test_validation_chooses_the_rate_and_one_that_breaks_down_has_lost(
    how, encoder, store, stubbed
):
    rates = {lr: with_lr(lr) for lr in (0.5, 0.9, 0.7, 3.0)}
    found = finetune(
        replace(how, optimisers=rates), encoder, store, Protocol(fractions=(1.0,)), FACTS,
        checkpoint="c", task="shape",
    )  # fmt: skip
    trained, asked = stubbed
    assert [lr for lr, _ in trained] == [0.5, 0.9, 0.7, 3.0, 0.9]
    assert {record["lr"] for record in found.records} == {0.9}
    test = store.split("test")
    assert sum(np.array_equal(items, test) for items in asked) == 1
    (entropy,) = (r["value"] for r in found.records if r["metric"] == "cross_entropy")
    assert entropy == pytest.approx(-np.log(0.9))


def test_if_all_rates_break_down_it_is_an_error(how, encoder, store, stubbed):
    broken = replace(how, optimisers={lr: with_lr(lr) for lr in (2.0, 3.0)})
    with pytest.raises(FloatingPointError, match="at 3"):
        finetune(broken, encoder, store, Protocol(), FACTS, checkpoint="c", task="shape")


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"optimisers": {}}, "lr is empty"), ({"layer_decay": 1.5}, r"expected .* in \(0, 1\]")],
)
def test_wrong_settings_are_refused(how, settings, words):
    with pytest.raises(ValueError, match=words):
        replace(how, **settings)
