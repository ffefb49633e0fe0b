"""What CLIP learns of generated pictures, sentences and sounds whose shared factors are known."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from trivium.config import without_numerics
from trivium.data.batches import as_values, gather
from trivium.data.prepare import prepare
from trivium.evaluation.pairs import evaluate_retrieval
from trivium.features import embed
from trivium.types import ModalityInput, View, Views
from yamls import composed

OPEN = "num_samples: null, mean: null, std: null"
CHOICES = [
    "data=synthetic_pairs",
    "data.num_train=3000",
    "data.num_test=400",
    "data.spec={tasks: null, num_samples: null, "
    f"image: {{shape: [3, 32, 32], {OPEN}}}, "
    "text: {shape: [24], num_samples: null, vocabulary: null}, "
    f"audio: {{shape: [1, 48, 32], {OPEN}}}}}",
    "encoder=towers_nano",
    "encoder.image.patch=8",
    "encoder.audio.depth=1",
    "encoder.text.depth=1",
    "encoder.text.dropout=0.0",
    "objective=self_supervised/clip",
    "objective.pairs=[[image, text], [image, audio]]",  # text and sound never meet
]
STEPS, BATCH, LR = 150, 96, 4e-3
RARE = 1e-6
"""So improbable under chance must a count of hits be that is above it."""


def learnt(folder, *more):
    """Joint features of every row after a short training, and the store."""
    values = composed("pretrain", [*CHOICES, *more])
    store = prepare(values["data"], folder)
    values = without_numerics(values)
    torch.manual_seed(0)
    data = store.spec()
    encoder = instantiate(values["encoder"], data=data)
    objective = instantiate(values["objective"], encoder=encoder, data=data)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=STEPS, pct_start=0.1)
    generator = np.random.default_rng(0)
    for step in range(STEPS):
        batch = gather(store, generator.choice(store.split("train"), BATCH, replace=False), None)
        senses = {
            one: ModalityInput(as_values(batch.inputs[one]), batch.valid.get(one), None)
            for one in encoder.modalities
        }
        loss = objective(Views((View(senses),), None))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        objective.after_step(step / STEPS)
    joint = {}
    for one in encoder.modalities:
        pooled = torch.from_numpy(embed(encoder.tower(one), store.part(one)))
        with torch.no_grad():
            joint[one] = encoder.joint(one, pooled).numpy()
    return store, joint


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    return learnt(tmp_path_factory.mktemp("together") / "store")


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    return learnt(tmp_path_factory.mktemp("shuffled") / "store", "data.shuffled=true")


def hits(found, direction, top=5):
    """How many queries found a right answer among the first, of how many, and chance's share."""
    store, joint = found
    (one,) = (
        one
        for one in evaluate_retrieval(joint, store, {"objective": "clip"}, checkpoint="none")
        if one.facts["task"] == direction
    )
    values = {record["metric"]: record["value"] for record in one.records}
    count = one.records[0]["num_test"]
    return round(values[f"recall@{top}"] * count), count, values[f"chance@{top}"]


def transfer(found, factor, fitted_on, asked_of):
    """Test accuracy of a linear probe of one modality on another, their means (the gap) removed."""
    store, joint = found

    def split(modality, name):
        part = store.part(modality)
        centred = joint[modality] - joint[modality][part.split("train")].mean(0)
        return centred[part.split(name)], part.labels(factor)[part.split(name)]

    probe = LogisticRegression(max_iter=300).fit(*split(fitted_on, "train"))
    features, labels = split(asked_of, "test")
    right = int((probe.predict(features) == labels).sum())
    most = np.bincount(labels).max() / len(labels)  # what always guessing one class reaches
    return right, len(labels), most


def above_chance(right, count, chance):
    return binom.sf(right - 1, count, chance) < RARE


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["image to text", "text to image"])
def test_pictures_and_sentences_find_each_other(together, direction):
    right, count, chance = hits(together, direction)
    assert chance < 0.03
    assert right / count > 0.5  # of the sentence's 120 meanings


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["text to audio", "audio to text"])
def test_a_pair_that_never_met_finds_each_other_by_way_of_pictures(together, direction):
    right, count, chance = hits(together, direction)
    assert above_chance(right, count, chance)
    assert right / count > 5 * chance  # 20 meanings are shared


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["image to text", "text to image", "text to audio"])
def test_shuffled_pairs_are_found_at_chance(shuffled, direction):
    right, count, chance = hits(shuffled, direction)
    low, high = binom.interval(1 - 1e-4, count, chance)
    assert low <= right <= high


@pytest.mark.slow
@pytest.mark.parametrize("factor", ["shape", "count"])
@pytest.mark.parametrize("pair", [("image", "text"), ("image", "audio"), ("text", "audio")])
def test_a_probe_of_a_shared_factor_works_in_another_modality(together, factor, pair):
    right, count, _ = transfer(together, factor, *pair)
    assert right / count > 0.6  # five shapes, four counts


@pytest.mark.slow
def test_without_pairs_a_probe_of_one_modality_says_nothing_of_another(shuffled):
    assert not above_chance(*transfer(shuffled, "shape", "image", "text"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factor", "knows", "others"),
    [("position", "image", ("text", "audio")), ("colour", "text", ("audio",))],
)
def test_a_private_factor_stays_private(together, factor, knows, others):
    assert above_chance(*transfer(together, factor, knows, knows))
    for other in others:
        assert not above_chance(*transfer(together, factor, other, other))
        assert not above_chance(*transfer(together, factor, knows, other))
