"""What each modality tells, read by hand: words, colours and areas, pitches and lengths."""

import itertools
import re

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.data.datasets import synthetic
from trivium.data.datasets.synthetic import FACTORS
from trivium.data.errors import ConfigError
from trivium.data.formats.synthesis import COLOURS
from trivium.data.prepare import prepare, spec_from_config
from trivium.data.spectrogram import log_mels
from trivium.data.writer import Origin, write_store

LONGEST = 48 * 80
NAMES = ("image", "text", "audio")
VISIBLE = {
    "image": ["shape", "count", "colour", "position"],
    "text": ["shape", "count", "colour"],
    "audio": ["shape", "count", "size"],
}
CONFIG = {
    "name": "synthetic_pairs",
    "modality": "image+text+audio",
    "num_train": 450,
    "num_test": 150,
    "visible": VISIBLE,
    "tokenizer": {"kind": "byte"},
    "spectrogram": {"rate": 8000, "window": 256, "hop": 80, "bands": 32, "low": 60, "high": 3900},
    "spec": {
        "tasks": None,
        "image": {"shape": [3, 32, 32]},
        "text": {"shape": [24]},
        "audio": {"shape": [1, 48, 32]},
    },
}
NUM = 600
SIZES = {"visible": {one: ["size"] for one in NAMES}}
"""Every modality tells the size alone, which can then be read from each without error."""
ORIGIN = Origin("", "", "", "")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def build(**change):
        scratch = tmp_path_factory.mktemp("scratch")
        return synthetic.parse(None, CONFIG | change, scratch)

    return build


@pytest.fixture(scope="module")
def parsed(make):
    return make()


def pictures(parsed):
    return parsed.parts["image"].columns["image"]


def texts(parsed):
    return parsed.parts["text"].texts


def clips(parsed):
    waves = parsed.parts["audio"].waves
    return [waves.flat[a:b] for a, b in itertools.pairwise(waves.offsets)]


def content(parsed):
    """The bytes of every row, by modality."""
    return {
        "image": [picture.tobytes() for picture in pictures(parsed)],
        "text": list(texts(parsed)),
        "audio": [clip.tobytes() for clip in clips(parsed)],
    }


def ink(parsed):
    """How far each pixel is from grey."""
    found = pictures(parsed).max(1).astype(float) - pictures(parsed).min(1)
    found[found < 60] = 0
    return found


def painted(parsed):
    """The nearest of the six colours to the mean of the coloured pixels."""
    cover = ink(parsed)[:, None]
    mean = (pictures(parsed) * cover).sum((2, 3)) / cover.sum((2, 3)) / 255
    mean = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return (mean @ (COLOURS / np.linalg.norm(COLOURS, axis=1, keepdims=True)).T).argmax(1)


def placed(parsed):
    """The position by the centre of mass."""
    axis, cover = np.arange(32) - 15.5, ink(parsed)
    right, below = (cover * axis).sum((1, 2)) > 0, (cover * axis[:, None]).sum((1, 2)) > 0
    return right + 2 * below


def worded(parsed, factor):
    """The value whose name is in the sentence."""
    told = [
        [n for n, name in enumerate(FACTORS[factor]) if re.search(rf"\b{name}\b", text)]
        for text in texts(parsed)
    ]
    assert {len(found) for found in told} == {1}
    return np.array(told)[:, 0]


def lasting(parsed):
    """The size by the length of the clip."""
    return np.digitize([len(clip) / LONGEST for clip in clips(parsed)], [0.55, 0.8])


def covering(parsed):
    """The size by the covered area, of pictures of one circle."""
    area = (ink(parsed) > 0).sum((1, 2))
    order = np.sort(area)
    bounds = [0.5 * order[[k - 1, k]].sum() for k in (np.diff(order).argsort()[-2:] + 1)]
    return np.digitize(area, sorted(bounds))


def accuracy(features, labels):
    """Of a linear probe on the test samples."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    return probe.fit(features[:450], labels[:450]).score(features[450:], labels[450:])


def chance(factor, num=NUM):
    """The most that agreement by chance may reach, and the least: four standard errors."""
    share = 1 / len(FACTORS[factor])
    error = 4 * np.sqrt(share * (1 - share) / num)
    return pytest.approx(share, abs=error)


def test_a_sample_has_a_row_of_each_modality(parsed):
    assert list(parsed.parts) == list(parsed.rows) == list(NAMES)
    for one in NAMES:
        assert parsed.parts[one].num_samples == NUM
        assert parsed.rows[one].tolist() == list(range(NUM))
    assert parsed.train.tolist() == list(range(450))
    assert parsed.test.tolist() == list(range(450, 600))


def test_every_factor_is_a_task_and_independent(parsed):
    assert parsed.tasks == dict(FACTORS)
    assert list(parsed.labels) == list(FACTORS)
    ids = np.stack(list(parsed.labels.values()))
    assert np.abs(np.corrcoef(ids) - np.eye(len(ids))).max() < 0.16


def test_it_repeats_with_its_seed(make, parsed):
    assert content(make(seed=0)) == content(parsed)
    other = content(make(seed=1))
    for one in NAMES:
        assert other[one] != content(parsed)[one]


def test_a_picture_tells_what_it_shows(parsed):
    assert (painted(parsed) == parsed.labels["colour"]).all()
    np.testing.assert_array_equal(placed(parsed), parsed.labels["position"])
    covered = (ink(parsed) > 0).sum((1, 2))
    means = [covered[parsed.labels["count"] == value].mean() for value in range(4)]
    assert means == sorted(means)
    assert means[3] > 2 * means[0]


def test_a_sentence_tells_what_it_shows(parsed):
    for factor in VISIBLE["text"]:
        np.testing.assert_array_equal(worded(parsed, factor), parsed.labels[factor])


def test_a_sound_tells_what_it_shows(parsed):
    np.testing.assert_array_equal(lasting(parsed), parsed.labels["size"])
    waves = parsed.parts["audio"].waves
    mel, starts = log_mels(waves.flat, waves.offsets, waves.settings)
    rows = [mel[a:b].astype(float) for a, b in itertools.pairwise(starts)]
    features = np.stack([np.concatenate([row.mean(0), row.std(0)]) for row in rows])
    assert accuracy(features, parsed.labels["shape"]) > 0.85
    assert accuracy(features, parsed.labels["count"]) > 0.7


def test_every_factor_can_be_told_in_words(make):
    everything = make(visible=VISIBLE | {"text": list(FACTORS)})
    for factor in FACTORS:
        np.testing.assert_array_equal(worded(everything, factor), everything.labels[factor])


def test_the_size_can_be_told_by_all(make):
    parsed = make(**SIZES)
    for read in (covering, lasting, lambda data: worded(data, "size")):
        np.testing.assert_array_equal(read(parsed), parsed.labels["size"])


@pytest.mark.parametrize("factor", FACTORS)
def test_only_modalities_that_show_a_factor_depend_on_it(make, parsed, monkeypatch, factor):
    def changed(factors, num, rng):
        found = drawn(factors, num, rng)
        return found | {factor: (found[factor] + 1) % len(FACTORS[factor])}

    drawn = synthetic.draw_latents
    monkeypatch.setattr(synthetic, "draw_latents", changed)
    other = make()
    assert (other.labels[factor] != parsed.labels[factor]).all()
    before, after = content(parsed), content(other)
    for one in NAMES:
        if factor in VISIBLE[one]:
            assert all(a != b for a, b in zip(before[one], after[one], strict=True)), one
        else:
            assert before[one] == after[one], one


def test_nothing_need_be_shown(make):
    parsed = make(visible={"image": [], "text": [], "audio": []})
    named = "|".join(name for names in FACTORS.values() for name in names)
    assert not [text for text in texts(parsed) if re.search(rf"\b({named})\b", text)]
    assert accuracy(pictures(parsed).mean((2, 3)), parsed.labels["colour"]) < 0.3
    assert (lasting(parsed) == 0).all()


@pytest.mark.parametrize("share", [0.3, 1])
def test_a_sample_lacks_one_modality_at_most(make, parsed, share, tmp_path):
    some = make(missing=share)
    lacking = np.stack([some.rows[one] < 0 for one in NAMES])
    num_lacking = lacking.sum(0)
    assert num_lacking.max() == 1
    error = 4 * np.sqrt(share * (1 - share) / NUM)
    assert num_lacking.mean() == pytest.approx(share, abs=error)
    for one, absent in zip(NAMES, lacking, strict=True):
        assert (some.rows[one][~absent] == np.flatnonzero(~absent)).all()
        assert absent.sum() / num_lacking.sum() == pytest.approx(1 / 3, abs=0.15)
    assert content(some) == content(parsed)
    again = make(missing=share)
    for one in NAMES:
        np.testing.assert_array_equal(again.rows[one], some.rows[one])
    store = write_store(tmp_path / "store", "synthetic_pairs", some, ORIGIN)
    assert store.meta.counts["test"] == 150


def test_which_modality_is_lacking_tells_nothing(make):
    some = make(missing=1)
    which = np.stack([some.rows[one] < 0 for one in NAMES]).T
    for factor in FACTORS:
        assert accuracy(which, some.labels[factor]) == chance(factor, 150)


def test_shuffled_modalities_have_nothing_to_do_with_each_other(make):
    mixed = make(**SIZES, shuffled=True)
    told = [covering(mixed), worded(mixed, "size"), lasting(mixed), mixed.labels["size"]]
    for one, other in itertools.combinations(told, 2):
        assert (one == other).mean() == chance("size")
    alone = make(**SIZES)
    for part in (mixed.train, mixed.test):
        counts = np.bincount(alone.labels["size"][part])
        for found in told:
            np.testing.assert_array_equal(np.bincount(found[part]), counts)
    for one in NAMES:
        assert mixed.rows[one].tolist() == list(range(NUM))


def test_shuffling_keeps_labels_and_what_belongs_together_within_a_modality(make, parsed):
    mixed = make(shuffled=True)
    for factor in FACTORS:
        np.testing.assert_array_equal(mixed.labels[factor], parsed.labels[factor])
    assert (worded(mixed, "colour") == parsed.labels["colour"]).mean() == chance("colour")
    assert (painted(mixed) == worded(mixed, "colour")).mean() == chance("colour")
    for part in (parsed.train, parsed.test):
        kinds = [
            sorted(zip(*(worded(data, factor)[part] for factor in VISIBLE["text"]), strict=True))
            for data in (parsed, mixed)
        ]
        assert kinds[0] == kinds[1]


@pytest.mark.parametrize("names", [*itertools.combinations(NAMES, 2)])
def test_two_modalities_will_do(make, names):
    visible = {one: VISIBLE[one] for one in names}
    pair = make(modality="+".join(names), visible=visible)
    assert list(pair.parts) == list(pair.rows) == list(names)
    if "text" in names:
        np.testing.assert_array_equal(worded(pair, "shape"), pair.labels["shape"])
    if "audio" in names:
        np.testing.assert_array_equal(lasting(pair), pair.labels["size"])
    with pytest.raises(ConfigError, match="of three modalities alone"):
        make(modality="+".join(names), visible=visible, missing=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visible": VISIBLE | {"image": ["smell"]}}, "unknown factor 'smell'"),
        ({"visible": VISIBLE | {"audio": ["colour"]}}, "colour cannot be heard"),
        ({"visible": VISIBLE | {"touch": ["shape"]}}, "visible has touch"),
        ({"visible": ["shape"]}, "visible must be a mapping"),
        ({"missing": 1.5}, "missing is 1.5; expected a share"),
        ({"missing": "some"}, "missing is 'some'; expected a number"),
        ({"shuffled": "yes"}, "shuffled is 'yes'; expected true or false"),
        ({"num_train": "many"}, "num_train is 'many'; expected a number"),
        ({"spec": CONFIG["spec"] | {"image": {"shape": [1, 32, 32]}}}, r"\[3, size, size\]"),
        ({"spec": CONFIG["spec"] | {"text": {"shape": [3, 32, 32]}}}, r"expected \[length\]"),
        ({"spec": CONFIG["spec"] | {"audio": {"shape": [1, 48, 40]}}}, r"\[1, frames, 32\]"),
    ],
)
def test_wrong_settings_are_one_clear_error(make, change, message):
    with pytest.raises(ConfigError, match=message):
        make(**change)


def test_what_is_shared_is_as_the_config_says(yaml_config):
    visible = yaml_config("synthetic_pairs")["visible"]
    seen = {factor: {one for one in NAMES if factor in visible[one]} for factor in FACTORS}
    assert sum(told == set(NAMES) for told in seen.values()) == 2
    assert sum(len(told) == 2 for told in seen.values()) == 1
    assert {"image"} in seen.values()
    assert {"audio"} in seen.values()


def test_the_config_holds_true_facts(yaml_config, tmp_path):
    config = yaml_config("synthetic_pairs")
    store = prepare(config, tmp_path / "synthetic_pairs")
    spec, true = spec_from_config(config), store.spec()
    assert spec == true
    assert [part.modality for part in spec.parts] == list(NAMES)
    assert store.part("text").lengths("tokens").max() <= spec.part("text").shape[0]
