"""Sounds and spectrograms of runs on audio: what is kept, how loud it is, and what it shows."""

import io
import logging

import numpy as np
import pytest
import soundfile
import torch
from matplotlib import colormaps
from PIL import Image

from trivium.data.spectrogram import SILENCE, LogMel, SoundSettings
from trivium.data.writer import Origin, Parsed, Waves, write_store
from trivium.encoders.baselines import MelStatistics
from trivium.tracking.writer import RunWriter
from trivium.training.callbacks.online_probe import OnlineProbe
from trivium.training.callbacks.reconstructions import Reconstructions
from trivium.training.module import TrainingModule
from trivium.training.samples import (
    LONGEST_SECONDS,
    LOUD,
    MP3_RATES,
    SampleWriter,
    draw_spectrograms,
    joined,
    levelled,
    log_mels,
    resampled,
    waves_of,
)
from trivium.types import Needs, Objective, View

RATE = 8000
SETTINGS = SoundSettings(RATE, 256, 128, 32, 0.0, 4000.0)
PITCHES = (300.0, 700.0, 1500.0)
HALF = RATE // 2


def tone(pitch, num_samples, height=0.5):
    wave = height * np.sin(2 * np.pi * pitch * np.arange(num_samples) / RATE)
    return wave.astype(np.float32)


def pitch_of(wave):
    return np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Tones of three pitches and different lengths."""
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=340)
    clips = [tone(PITCHES[label], generator.integers(2000, HALF)) for label in labels]
    flat = np.concatenate([np.round(clip * 32767).astype(np.int16) for clip in clips])
    offsets = np.cumsum([0, *map(len, clips)]).astype(np.int64)
    parsed = Parsed(
        {}, {"pitch": labels.astype(np.int64)}, {"pitch": ("low", "middle", "high")},
        np.arange(300), np.arange(300, 340), waves=Waves(flat, offsets, SETTINGS, 32),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("audio") / "tones"
    return write_store(folder, "tones", parsed, Origin("generated", "", "", "CC0-1.0"))


class Echo(Objective):
    """Learns nothing; shows its input, and the input a nat quieter."""

    paradigm = "unsupervised"
    needs = Needs()

    def __init__(self, encoder, *, with_groups):
        super().__init__()
        self.encoder = encoder
        self.with_groups = with_groups
        self.seen = []

    def forward(self, views):
        return {"loss": torch.zeros(())}

    def pictures(self, views):
        values = views.views[0].values
        self.seen.append(views.views[0])
        quieter = values / np.exp(0.5) if values.ndim == 2 else (values - 1).clamp(min=SILENCE)
        return {"input": values, "one nat quieter": quieter}

    def assign(self, view):
        assert view.values.dtype == torch.float32
        return torch.arange(len(view.values)) % 2 if self.with_groups else None


class Same:
    """One view: the clips as they are."""

    def __init__(self, column):
        self.column = column

    def __call__(self, values, generator, valid=None):
        values = values.float() / 2**15 if values.dtype == torch.int16 else values.float()
        return (View(values, valid),)


class Kept(RunWriter):
    """Remembers what a tracker was given."""

    def __init__(self):
        self.files = []

    def log_file(self, path, to=None):
        self.files.append((path.name, to))


@pytest.fixture
def watch(store, tmp_path):
    """Pictures of an objective at a step of a run that is as long as is said."""

    def act(step, *, num_steps=8, column="mel", with_groups=True):
        probe = OnlineProbe(
            store=store, task="pitch", num_items=40, num_glances=3, seed=0, writer=None
        )
        objective = Echo(MelStatistics(store.spec()), with_groups=with_groups)
        module = TrainingModule(
            objective, views=Same(column), optimiser=lambda groups: None,
            schedule=lambda progress: 1.0, weight_decay=0.0,
            seconds=float(num_steps), seed=0,
        )  # fmt: skip
        module.trained_seconds = float(step)
        probe.features = np.eye(3, 8, dtype=np.float32)[store.labels()[probe.validation]]
        pictures = Reconstructions(tmp_path / "pictures", probe=probe, writer=None)
        pictures.on_snapshot(module, step)
        return pictures, objective

    return act


def heard(path):
    wave, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return wave


def test_log_mel_rows_are_heard_at_both_ends_of_a_run(watch, tmp_path):
    watch(0)
    names = {path.name for path in (tmp_path / "pictures").glob("*.mp3")}
    assert names == {f"{row}-step000000.mp3" for row in ("input", "one-nat-quieter", "neighbours")}
    watch(4)
    assert not list((tmp_path / "pictures").glob("*000004.mp3"))
    assert len(list((tmp_path / "pictures").glob("*000004.png"))) == 4
    watch(8)
    assert len(list((tmp_path / "pictures").glob("*000008.mp3"))) == 3


def test_what_is_heard_are_the_clips_one_after_another(store, watch, tmp_path):
    pictures, objective = watch(8)
    (view,) = objective.seen
    assert view.values.dtype == torch.float32
    length = view.valid.sum(1) * SETTINGS.hop
    columns = [0, round((len(length) - 1) / 3), round((len(length) - 1) * 2 / 3), -1]
    wave = heard(tmp_path / "pictures" / "input-step000008.mp3")
    validation = pictures.probe.validation
    shown = validation[np.linspace(0, len(validation) - 1, len(length)).round().astype(int)]
    total = sum(int(length[column]) for column in columns) + 3 * RATE // 4
    assert abs(len(wave) - total) < 4 * SETTINGS.window  # each rings a little
    start = 0
    for column in columns:
        label = store.labels()[shown[column]]
        middle = wave[start + 500 : start + 1700]
        assert abs(pitch_of(middle) - PITCHES[label]) < 60
        start += int(length[column]) + RATE // 4


def test_neighbours_are_clips_of_the_data_in_threes(store, watch, tmp_path):
    watch(8)
    wave = heard(tmp_path / "pictures" / "neighbours-step000008.mp3")
    sounding = np.flatnonzero(np.abs(wave) > 0.02)
    starts = sounding[np.diff(sounding, prepend=-RATE) > 1000]
    assert len(starts) == 9
    pitches = [pitch_of(wave[start + 300 : start + 1500]) for start in starts]
    for query in range(3):
        low, *others = (min(PITCHES, key=lambda p, f=f: abs(p - f))
                        for f in pitches[3 * query : 3 * query + 3])  # fmt: skip
        assert others == [low, low]
    # 16-bit tones of height 0.5 are left as loud as they are.
    assert 0.4 < np.abs(wave).max() < 0.6


def test_waves_are_heard_and_seen_as_they_are(store, watch, tmp_path):
    _, objective = watch(8, column="wave")
    (view,) = objective.seen
    assert view.values.ndim == 2
    first = view.values[0][view.valid[0]].numpy()
    wave = heard(tmp_path / "pictures" / "input-step000008.mp3")[: len(first)]
    assert np.corrcoef(first, wave)[0, 1] > 0.98
    with Image.open(tmp_path / "pictures" / "rows-step000008.png") as drawn:
        mels = LogMel(SETTINGS)(view.values).numpy()
        assert drawn.width == draw_spectrograms({"input": mels}).shape[1]
        assert drawn.height == 2 * draw_spectrograms({"input": mels}).shape[0]


def test_sheets_of_neighbours_are_the_stores_own_log_mel(store, watch, tmp_path):
    pictures, _ = watch(8)
    labels = store.labels()[pictures.probe.validation]
    queries = np.linspace(0, len(labels) - 1, pictures.num_columns).round().astype(int)
    flat, offsets = store.ragged("mel")
    items = pictures.probe.validation[queries]
    mels = np.full((len(items), 32, 32), SILENCE, np.float16)
    for row, item in zip(mels, items, strict=True):
        clip = flat[offsets[item] : offsets[item + 1]][:32]
        row[: len(clip)] = clip
    longest = max(int(np.diff(offsets)[items].max()), 1)
    with Image.open(tmp_path / "pictures" / "neighbours-step000008.png") as drawn:
        pixels = np.asarray(drawn)
    scale = pixels.shape[0] // (6 * 34)
    cells = pixels[scale // 2 :: scale, scale // 2 :: scale]
    top = mels.astype(float).max()
    colours = np.round(
        255 * colormaps["magma"]((mels[0].astype(float) - SILENCE) / (top - SILENCE))
    )
    shown = cells[1:33, 1 : 1 + min(longest, 32)]
    truth = colours[: shown.shape[1], ::-1, :3].transpose(1, 0, 2)
    assert np.abs(shown.astype(int) - truth).max() <= 3


def test_a_run_that_shows_no_rows_still_has_its_neighbours(watch, monkeypatch, tmp_path):
    monkeypatch.setattr(Echo, "pictures", Objective.pictures)
    watch(8, with_groups=False)
    names = [path.name for path in sorted((tmp_path / "pictures").iterdir())]
    assert names == [
        "embedding-step000008.png", "neighbours-step000008.mp3", "neighbours-step000008.npz",
        "neighbours-step000008.png",
    ]  # fmt: skip


def test_the_tracker_has_them_under_sounds(tmp_path):
    kept = Kept()
    SampleWriter(tmp_path, 5, kept).sounds({"traversal 1": tone(440, RATE)[None]}, RATE)
    assert kept.files == [("traversal-1-step000005.mp3", "sounds")]
    assert (tmp_path / "traversal-1-step000005.mp3").is_file()


def test_rows_stay_comparable_and_none_is_too_loud():
    wave = tone(440, RATE)[None]
    rows = levelled({"input": wave, "quieter": 0.1 * wave, "shouting": 100 * wave})
    peaks = {name: np.abs(row).max() for name, row in rows.items()}
    assert peaks == pytest.approx({"input": 0.5, "quieter": 0.05, "shouting": LOUD}, rel=1e-3)
    faint = levelled({"input": 0.01 * wave, "half": 0.005 * wave})
    assert np.abs(faint["input"]).max() == pytest.approx(LOUD)
    assert np.abs(faint["half"]).max() == pytest.approx(LOUD / 2)
    loud = levelled({"input": 4 * wave, "half": 2 * wave})
    assert np.abs(loud["half"]).max() == pytest.approx(LOUD / 2)
    silent = levelled({"input": 0 * wave, "noise": wave})
    assert np.abs(silent["noise"]).max() == pytest.approx(0.5, rel=1e-3)


def test_clips_are_joined_with_a_quarter_of_a_second_between_them():
    waves = np.zeros((3, 6 * RATE), np.float32)
    waves[0, :HALF] = 0.5
    waves[2] = 0.5
    wave = joined(waves, RATE)
    pause, shortest, longest = RATE // 4, RATE // 10, int(LONGEST_SECONDS * RATE)
    assert len(wave) == HALF + pause + shortest + pause + longest
    assert (wave[:HALF] == 0.5).all()
    assert not wave[HALF:-longest].any()


def test_a_network_that_shouts_does_not_overflow():
    row = np.full((5, 1, 10, 32), 1e4, np.float32)
    waves = waves_of(row, SETTINGS)
    assert waves.shape == (4, 10 * SETTINGS.hop)
    assert np.isfinite(levelled({"row": waves})["row"]).all()


def test_long_clips_are_cut_before_they_are_inverted():
    row = np.full((1, 1, 1000, 32), SILENCE, np.float32)
    assert waves_of(row, SETTINGS).shape == (1, LONGEST_SECONDS * RATE)


@pytest.mark.parametrize(("rate", "allowed"), [(8000, 8000), (4000, 8000), (20000, 22050),
                                               (96000, 48000)])  # fmt: skip
def test_every_rate_can_be_written(rate, allowed):
    time = np.arange(rate) / rate
    wave, written = resampled(np.sin(2 * np.pi * 440 * time).astype(np.float32), rate)
    assert written == allowed in MP3_RATES
    spectrum = np.abs(np.fft.rfft(wave))
    assert abs(spectrum.argmax() * written / len(wave) - 440) < 2
    soundfile.write(io.BytesIO(), wave, written, format="MP3")


def test_a_library_without_mp3_is_said_and_stops_nothing(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    with caplog.at_level(logging.WARNING):
        SampleWriter(tmp_path, 0, None).sounds({"input": tone(440, RATE)[None]}, RATE)
    assert "cannot write MP3" in caplog.text
    assert not list(tmp_path.iterdir())


def test_rows_may_be_log_mel_or_waves(store, tmp_path):
    waves = np.stack([tone(pitch, HALF) for pitch in PITCHES])
    mels = LogMel(SETTINGS)(torch.from_numpy(waves)).numpy()
    np.testing.assert_allclose(log_mels(store, waves), log_mels(store, mels[:, None]), atol=1e-5)
    SampleWriter(tmp_path, 3, None).rows("rows", {"a": waves, "b": mels[:, None]}, store)
    with Image.open(tmp_path / "rows-step000003.png") as drawn:
        pixels = np.asarray(drawn)
    half = pixels.shape[0] // 2
    assert (pixels[:half] == pixels[half:]).all()
    with np.load(tmp_path / "rows-step000003.npz") as tiles:
        assert set(tiles.files) == {"a", "b"}
        for row in range(2):
            tile = tiles["ab"[row]][1]
            height, width = tile.shape[:2]
            scale = pixels.shape[0] // (2 * (height + 2))
            down, across = row * (height + 2) + 1, (width + 2) + 1
            drawn = pixels[scale // 2 :: scale, scale // 2 :: scale]
            assert (drawn[down : down + height, across : across + width] == tile).all()
