import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.data.datasets import synthetic
from trivium.data.datasets.synthetic import TONE_FACTORS as FACTORS
from trivium.data.errors import ConfigError
from trivium.data.formats.synthesis import PITCHES, TIMBRES
from trivium.data.prepare import prepare, spec_from_config
from trivium.data.spectrogram import log_mels

RATE, LONGEST = 8000, 48 * 80
SPECTROGRAM = {"rate": RATE, "window": 256, "hop": 80, "bands": 32, "low": 60, "high": 3900}
CONFIG = {
    "name": "synthetic_audio",
    "modality": "audio",
    "num_train": 450,
    "num_test": 150,
    "spectrogram": SPECTROGRAM,
    "spec": {"shape": [1, 48, 32]},
}


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def build(**change):
        return synthetic.parse(None, CONFIG | change, tmp_path_factory.mktemp("scratch"))

    return build


@pytest.fixture(scope="module")
def parsed(make):
    return make()


@pytest.fixture(scope="module")
def hidden(make):
    return make(visible=["timbre"])


def clips(parsed):
    flat, offsets = parsed.waves.flat, parsed.waves.offsets
    return [flat[a:b].astype(float) / 2**15 for a, b in itertools.pairwise(offsets)]


def told(parsed, **values):
    """The clips of some values of factors, and their numbers."""
    rows = np.ones(parsed.num_samples, bool)
    for task, value in values.items():
        rows &= parsed.labels[task] == FACTORS[task].index(value)
    return [(row, clip) for row, clip in enumerate(clips(parsed)) if rows[row]]


def spectrum(clip):
    """Amplitudes of a clip's frequencies, finely sampled."""
    size = 1 << 15
    found = np.abs(np.fft.rfft(clip * np.hanning(len(clip)), size))
    return np.arange(len(found)) * RATE / size, found


def amplitude(clip, frequency):
    """The highest peak within 3 % of a frequency."""
    at, found = spectrum(clip)
    return found[np.abs(at / frequency - 1) < 0.03].max()


def accuracy(parsed, task):
    """How well mean and deviation of each band, and the length, tell a factor of test clips."""
    waves = parsed.waves
    mel, starts = log_mels(waves.flat, waves.offsets, waves.settings)
    rows = [mel[a:b].astype(float) for a, b in itertools.pairwise(starts)]
    features = np.stack([np.concatenate([row.mean(0), row.std(0), [len(row)]]) for row in rows])
    labels = parsed.labels[task]
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    probe.fit(features[parsed.train], labels[parsed.train])
    return probe.score(features[parsed.test], labels[parsed.test])


def test_it_repeats_with_its_seed(make, parsed):
    again, other = make(seed=0), make(seed=1)
    np.testing.assert_array_equal(again.waves.flat, parsed.waves.flat)
    np.testing.assert_array_equal(again.waves.offsets, parsed.waves.offsets)
    assert all(np.array_equal(again.labels[task], parsed.labels[task]) for task in FACTORS)
    assert not np.array_equal(other.waves.offsets, parsed.waves.offsets)


def test_there_are_as_many_clips_as_asked(parsed):
    assert parsed.num_samples == 600
    assert parsed.train.tolist() == list(range(450))
    assert parsed.test.tolist() == list(range(450, 600))


def test_every_factor_is_a_task_and_independent(parsed):
    sizes = {task: len(names) for task, names in parsed.tasks.items()}
    assert sizes == {"timbre": 5, "pitch": 4, "envelope": 4, "noise": 2, "length": 3}
    assert next(iter(sizes)) == "timbre"
    for task, num in sizes.items():
        shares = np.bincount(parsed.labels[task], minlength=num) / 600
        assert np.abs(shares - 1 / num).max() < 0.06
    ids = np.stack(list(parsed.labels.values()))
    assert np.abs(np.corrcoef(ids) - np.eye(len(ids))).max() < 0.12


def test_the_length_of_a_clip_is_its_factor(parsed):
    shares = np.diff(parsed.waves.offsets) / LONGEST
    assert shares.max() <= 1
    assert len(np.unique(shares)) > 100
    np.testing.assert_array_equal(np.digitize(shares, [0.55, 0.8]), parsed.labels["length"])


@pytest.mark.parametrize("pitch", PITCHES)
def test_a_pure_tone_has_the_frequency_of_its_pitch(parsed, pitch):
    found = told(parsed, timbre="pure", pitch=pitch)
    assert len(found) > 15
    for _, clip in found:
        at, found = spectrum(clip)
        assert at[found.argmax()] == pytest.approx(PITCHES[pitch], rel=0.03)


@pytest.mark.parametrize("timbre", TIMBRES)
def test_a_timbre_has_its_partials(parsed, timbre):
    found = told(parsed, timbre=timbre, noise="clean", envelope="steady", pitch="A3")
    assert found
    for _, clip in found:
        first = amplitude(clip, PITCHES["A3"])
        for multiple, expected in TIMBRES[timbre]:
            if multiple > 1:
                ratio = amplitude(clip, multiple * PITCHES["A3"]) / first
                assert ratio == pytest.approx(expected, rel=0.15)
        assert amplitude(clip, 6.5 * PITCHES["A3"]) < 0.1 * first  # no timbre has this one


def test_partials_beyond_the_rate_are_left_out(make, parsed):
    bells = told(parsed, timbre="bell", pitch="G4", noise="clean", envelope="steady")
    # 8.93 times 392 Hz is 3501 Hz: at a rate of 6000 it would appear as its mirror at 2499 Hz.
    low = make(spectrogram=SPECTROGRAM | {"rate": 6000, "high": 2900})
    few = told(low, timbre="bell", pitch="G4", noise="clean", envelope="steady")
    assert all(amplitude(clip, 3501) > 0.2 * amplitude(clip, 392) for _, clip in bells)
    as_if = 8000 / 6000  # `amplitude` counts at 8000
    for _, clip in few:
        assert amplitude(clip, 2499 * as_if) < 0.05 * amplitude(clip, 392 * as_if)


def test_envelopes_rise_fall_or_swing(parsed):
    def thirds(envelope):
        kept = told(parsed, envelope=envelope, noise="clean")
        parts = [[part.std() for part in np.array_split(clip, 3)] for _, clip in kept]
        return np.array(parts).T

    first, _, last = thirds("pluck")
    assert (first > 4 * last).all()
    first, _, last = thirds("swell")
    assert (last > 4 * first).all()
    for envelope in ("steady", "tremolo"):
        first, _, last = thirds(envelope)
        assert (np.maximum(first, last) < 2 * np.minimum(first, last)).all()
    swings = {}
    for envelope in ("steady", "tremolo"):
        short = [np.abs(clip[40:-40]).reshape(-1) for _, clip in told(parsed, envelope=envelope)]
        power = [[p.std() for p in np.array_split(clip, len(clip) // 80)] for clip in short]
        swings[envelope] = np.array([max(row) / min(row) for row in power])
    assert swings["tremolo"].min() > swings["steady"].max() / 2
    assert np.median(swings["tremolo"]) > 3 * np.median(swings["steady"])


def test_noise_fills_the_spectrum_between_the_partials(parsed):
    floors = {
        noise: np.array([np.median(spectrum(clip)[1]) / len(clip) ** 0.5 for _, clip in
                         told(parsed, noise=noise, timbre="pure")])
        for noise in FACTORS["noise"]
    }  # fmt: skip
    assert floors["noisy"].min() > 5 * floors["clean"].max()


def test_waves_keep_clear_of_clipping(parsed):
    assert 0.1 < np.abs(parsed.waves.flat / 2**15).max() < 1


def test_a_probe_finds_what_is_visible(parsed):
    assert accuracy(parsed, "timbre") > 0.85
    assert accuracy(parsed, "noise") > 0.9


@pytest.mark.parametrize("task", ["pitch", "envelope", "noise", "length"])
def test_a_hidden_factor_cannot_be_told(hidden, task):
    chance = 1 / len(FACTORS[task])
    assert accuracy(hidden, task) < chance + 3 * np.sqrt(chance * (1 - chance) / 150)


def test_hiding_keeps_the_labels(parsed, hidden):
    assert accuracy(hidden, "timbre") > 0.85
    for task in FACTORS:
        np.testing.assert_array_equal(hidden.labels[task], parsed.labels[task])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"visible": ["smell"]},
            "unknown factor 'smell'; there are: timbre, pitch, envelope",
        ),
        ({"num_train": "many"}, "num_train is 'many'; expected a number"),
        ({"seed": "x"}, "seed is 'x'; expected a number"),
        ({"spec": {"shape": [1, 48, 40]}}, r"expected \[1, frames, 32\]"),
        ({"spectrogram": {"rate": 8000}}, "it needs exactly rate, window, hop, bands, low, high"),
        ({"spectrogram": SPECTROGRAM | {"high": 5000}}, "low < high <= rate / 2, got 60.0, 5000"),
    ],
)
def test_wrong_settings_are_one_clear_error(make, change, message):
    with pytest.raises(ConfigError, match=message):
        make(**change)


def test_the_config_holds_true_facts(yaml_config, tmp_path):
    config = yaml_config("synthetic_audio")
    store = prepare(config, tmp_path / "synthetic_audio")
    for task in (*store.meta.tasks, None):
        spec, true = spec_from_config(config, task), store.spec(task)
        assert spec == true._replace(sound=spec.sound)
        assert spec.sound == true.sound
