"""Against least squares, and clips whose durations follow a known law."""

import numpy as np
import pytest

from pair_store import PairStore
from trivium.evaluation.controls import DurationControl
from trivium.evaluation.pair_search import search
from trivium.evaluation.pairs import evaluate_scores

NUM_ITEMS = 240
SPLITS = {"train": range(140), "validation": range(140, 180), "test": range(180, NUM_ITEMS)}


def spoken(*, rates=(0.05, 0.2), noise=0.0, strata=True, few=False):
    """Clips whose logarithmic duration is linear in the length of the caption of a language."""
    generator = np.random.default_rng(3)
    lengths = generator.permutation(NUM_ITEMS) % 50 + 3
    own = np.arange(NUM_ITEMS) % 2
    if few:
        own[:136] = 0
    logs = np.array(rates)[own] * lengths + own + noise * generator.normal(size=NUM_ITEMS)
    rows = {one: np.arange(NUM_ITEMS) for one in ("image", "text", "audio")}
    shop = PairStore(
        rows,
        SPLITS,
        texts=["a" * length for length in lengths],
        strata=own if strata else None,
        names=("english", "german") if strata else (),
    )
    return shop, np.exp(logs), lengths, own


@pytest.mark.parametrize(("first", "second"), [("text", "audio"), ("audio", "text")])
def test_durations_are_predicted_within_each_language(first, second):
    shop, durations, _, _ = spoken()
    wanted = search(shop, first, second)
    found = DurationControl(shop, durations)(wanted)
    same = wanted.strata[0][:, None] == wanted.strata[1]
    logs = np.log(durations)
    expected = -np.abs(logs[wanted.queries][:, None] - logs[wanted.candidates])
    np.testing.assert_allclose(found[same], expected[same], atol=1e-9)


def test_the_regression_is_on_the_length_and_its_logarithm():
    shop, durations, lengths, _ = spoken(noise=0.5, strata=False)
    wanted = search(shop, "text", "audio")
    columns = np.stack([np.ones(NUM_ITEMS), lengths, np.log(lengths)], axis=1)
    train = np.arange(140)
    solved = np.linalg.lstsq(columns[train], np.log(durations)[train], rcond=None)[0]
    predicted = (columns @ solved)[wanted.queries]
    expected = -np.abs(predicted[:, None] - np.log(durations)[wanted.candidates])
    np.testing.assert_allclose(DurationControl(shop, durations)(wanted), expected, atol=1e-9)


def test_a_small_language_borrows_the_line_of_all():
    shop, durations, _, own = spoken(noise=0.5, few=True)
    assert 0 < (own[:140] == 1).sum() < 10
    wanted = search(shop, "text", "audio")
    found = DurationControl(shop, durations)(wanted)
    alone = spoken(noise=0.5, few=True, strata=False)[0]
    of_all = DurationControl(alone, durations)(search(alone, "text", "audio"))
    at = np.searchsorted(np.arange(180, NUM_ITEMS), wanted.queries)
    to = np.searchsorted(np.arange(180, NUM_ITEMS), wanted.candidates)
    small = wanted.strata[0] == 1
    np.testing.assert_allclose(found[small], of_all[at][:, to][small])
    assert not np.allclose(found[~small], of_all[at][:, to][~small])


def test_durations_say_nothing_of_pictures():
    shop, durations, *_ = spoken()
    control = DurationControl(shop, durations)
    assert control(search(shop, "image", "audio")) is None
    tasks = [one.facts["task"] for one in evaluate_scores(control, shop, {}, checkpoint="")]
    assert tasks == ["text to audio", "audio to text"]


def test_a_clip_without_duration_is_an_error():
    shop, durations, *_ = spoken()
    durations[3] = 0
    with pytest.raises(ValueError, match="durations"):
        DurationControl(shop, durations)
