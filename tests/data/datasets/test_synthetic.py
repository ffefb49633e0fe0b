import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from trivium.data.datasets import synthetic
from trivium.data.datasets.synthetic import FACTORS
from trivium.data.errors import ConfigError

CONFIG = {
    "name": "synthetic",
    "modality": "image",
    "num_train": 900,
    "num_test": 300,
    "spec": {"shape": [3, 32, 32]},
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory):
    return synthetic.parse(None, CONFIG, tmp_path_factory.mktemp("x"))


def test_it_repeats_with_its_seed(parsed, tmp_path):
    again = synthetic.parse(None, CONFIG | {"seed": 0}, tmp_path)
    other = synthetic.parse(None, CONFIG | {"seed": 1}, tmp_path)
    np.testing.assert_array_equal(again.columns["image"], parsed.columns["image"])
    assert not np.array_equal(other.columns["image"], parsed.columns["image"])


def test_every_factor_is_a_task_and_independent(parsed):
    assert list(parsed.tasks) == list(FACTORS)
    for task, names in parsed.tasks.items():
        shares = np.bincount(parsed.labels[task], minlength=len(names)) / 1200
        assert np.abs(shares - 1 / len(names)).max() < 0.06
    ids = np.stack(list(parsed.labels.values()))
    assert np.abs(np.corrcoef(ids) - np.eye(len(ids))).max() < 0.12


def test_the_picture_shows_what_the_latents_say(parsed):
    """Independent truth: colours by the brightest pixels, position by their centre of mass."""
    images = parsed.columns["image"].astype(float)
    ink = images.max(1) - images.min(1)
    ink[ink < 60] = 0
    assert (ink.sum((1, 2)) > 0).all()
    axis = np.arange(32) - 15.5
    right = (ink * axis).sum((1, 2)) > 0
    below = (ink * axis[:, None]).sum((1, 2)) > 0
    position = parsed.labels["position"]
    np.testing.assert_array_equal(right, position % 2 == 1)
    np.testing.assert_array_equal(below, position >= 2)
    covered = (ink > 0).sum((1, 2))
    for factor in ("size", "count"):
        means = [covered[parsed.labels[factor] == k].mean() for k in range(len(FACTORS[factor]))]
        assert means == sorted(means)


def test_colour_is_found_unless_it_is_hidden(parsed, tmp_path):
    hidden = synthetic.parse(None, CONFIG | {"visible": ["shape", "position"]}, tmp_path)
    scores = []
    for data in (parsed, hidden):
        pixels = data.columns["image"].mean((2, 3))
        labels = data.labels["colour"]
        probe = LinearDiscriminantAnalysis()
        scores.append(probe.fit(pixels[:900], labels[:900]).score(pixels[900:], labels[900:]))
    assert scores[0] > 0.6
    assert scores[1] < 0.25
    np.testing.assert_array_equal(hidden.labels["colour"], parsed.labels["colour"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"shape": [1, 32, 32]}}, r"must be \[3, size, size\]"),
        ({"visible": ["smell"]}, "unknown factor 'smell'"),
        ({"num_train": "many"}, "num_train is 'many'; expected a number"),
    ],
)
def test_wrong_settings_are_one_clear_error(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        synthetic.parse(None, CONFIG | change, tmp_path)
