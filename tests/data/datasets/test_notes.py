"""Tiny SoundFonts of 128 programs that all play a sine; some programs lack high keys."""

import numpy as np
import pytest

from trivium.data.datasets import notes
from trivium.data.datasets.notes import FAMILIES
from trivium.data.errors import ConfigError, DataError
from trivium.data.writer import Origin, write_store

from .sf2 import soundfont

pytest.importorskip("tinysoundfont")

PITCHES, VELOCITIES = [45, 57, 69, 81], [50, 120]
CONFIG = {
    "name": "notes",
    "split": "pitch",
    "held_out": [57],
    "pitches": PITCHES,
    "velocities": VELOCITIES,
    "spectrogram": {"rate": 8000, "window": 512, "hop": 80, "bands": 32, "low": 60, "high": 3900},
    "spec": {"shape": [1, 100, 32]},
}
SHIFT = CONFIG | {"split": "soundfont", "held_out": "timgm6mb"}
NAMES = [f"Tone {number}" for number in range(128)]
MUTE = {19: 60, 8: 80}
"""Programs of the second SoundFont and the highest keys that they sound at."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fonts")
    for name, mute in (("FluidR3Mono_GM.sf3", {}), ("TimGM6mb.sf2", MUTE)):
        home = folder / name.split(".")[0] / "usr" / "share"
        home.mkdir(parents=True)
        (home / name).write_bytes(soundfont(NAMES, mute))
    return folder


@pytest.fixture(scope="module")
def parse(folder, tmp_path_factory):
    return lambda config=CONFIG: notes.parse(folder, config, tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def parsed(parse):
    return parse()


@pytest.fixture(scope="module")
def shifted(parse):
    return parse(SHIFT)


def expected():
    """(SoundFont, program, pitch, velocity) of every clip that sounds."""
    return np.array(
        [
            (font, program, pitch, velocity)
            for font in range(2)
            for program in range(128)
            for pitch in PITCHES
            for velocity in VELOCITIES
            if not (font and pitch > MUTE.get(program, 127))
        ]
    )


def test_every_note_that_sounds_is_a_clip_of_a_second(parsed):
    num = 2 * 128 * 8 - 2 * 2 - 2 * 1
    assert parsed.num_samples == len(expected()) == num
    assert (np.diff(parsed.waves.offsets) == 8000).all()


def test_clips_are_of_the_pitch_and_velocity_that_they_say(parsed):
    truth = expected()
    clips = parsed.waves.flat.reshape(-1, 8000)[::37].astype(float)
    spectra = np.abs(np.fft.rfft(clips[:, :6400] * np.hanning(6400), 1 << 16))
    frequencies = spectra.argmax(axis=1) * 8000 / (1 << 16)
    np.testing.assert_allclose(frequencies, 441 * 2 ** ((truth[::37, 2] - 69) / 12), rtol=1e-3)
    loud = truth[::37, 3] == 120
    assert clips[loud].std(axis=1).min() > 1.5 * clips[~loud].std(axis=1).max()


def test_tasks_are_family_and_program(parsed):
    assert list(parsed.tasks) == ["family", "program"]
    assert (len(FAMILIES), len(set(parsed.tasks["program"]))) == (16, 128)
    assert parsed.tasks["program"][:2] == ("1 Tone 0", "2 Tone 1")
    np.testing.assert_array_equal(parsed.labels["program"], expected()[:, 1])
    np.testing.assert_array_equal(parsed.labels["family"], expected()[:, 1] // 8)
    assert FAMILIES[40 // 8] == "strings"  # a violin is program 40


def test_held_out_pitches_are_the_test_split(parsed):
    pitch = expected()[:, 2]
    assert set(pitch[parsed.test]) == {57}
    assert set(pitch[parsed.train]) == {45, 69, 81}
    assert len(parsed.train) + len(parsed.test) == parsed.num_samples


def test_validation_pitches_are_not_in_train_either(parsed, tmp_path):
    store = write_store(tmp_path / "store", "notes", parsed, Origin("", "", "", ""))
    pitch = expected()[:, 2]
    train, validation = set(pitch[store.split("train")]), set(pitch[store.split("validation")])
    assert (len(train), len(validation)) == (2, 1)
    assert not train & validation


def test_a_held_out_soundfont_is_the_test_split(shifted):
    font = expected()[:, 0]
    assert set(font[shifted.test]) == {1}
    assert set(font[shifted.train]) == {0}
    assert list(shifted.tasks) == ["family", "program", "pitch"]
    assert shifted.tasks["pitch"] == ("45", "57", "69", "81")
    np.testing.assert_array_equal(np.array(PITCHES)[shifted.labels["pitch"]], expected()[:, 2])


def test_velocities_of_a_note_stay_together(shifted, tmp_path):
    store = write_store(tmp_path / "store", "notes", shifted, Origin("", "", "", ""))
    note = [tuple(row) for row in expected()[:, :3].tolist()]
    sides = [{note[i] for i in store.split(split)} for split in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert len(sides[0]) + len(sides[1]) == 128 * 4
    # A tenth of the 32 notes of each family.
    assert len(sides[1]) == 16 * 3


def test_silent_notes_are_counted(parsed):
    assert parsed.notes == (
        "fluidr3mono: 1024 notes of FluidR3Mono GM 2.315 by Frank Wen and others, MIT; "
        "0 silent ones were left out.",
        "timgm6mb: 1018 notes of TimGM6mb 1.3 by Tim Brechbill, GPL-2; "
        "6 silent ones were left out.",
    )


def test_it_repeats(parse, parsed):
    np.testing.assert_array_equal(parse().waves.flat, parsed.waves.flat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "odd"}, "split is 'odd'; choose of pitch, soundfont"),
        ({"split": "soundfont", "held_out": "casio"}, "held_out is 'casio'; choose of fluidr3mono"),
        ({"held_out": [58]}, r"held_out is \[58\]; expected some, but not all, of the pitches"),
        ({"held_out": PITCHES}, "expected some, but not all, of the pitches"),
        ({"held_out": 57}, "held_out is 57; expected a list of different whole numbers"),
        ({"pitches": [45, 45]}, r"pitches is \[45, 45\]; expected a list of different"),
        ({"pitches": []}, r"pitches is \[\]; expected a list"),
        ({"velocities": [0, 90]}, r"velocities is \[0, 90\]; expected .* in 1\.\.127"),
        ({"velocities": [1.5]}, r"velocities is \[1\.5\]; expected"),
        ({"velocities": None}, "velocities is None; expected"),
    ],
)
def test_a_wrong_option_is_one_clear_error(parse, change, message):
    with pytest.raises(ConfigError, match=message):
        parse(CONFIG | change)


def test_a_missing_soundfont_or_program_is_named(tmp_path):
    (tmp_path / "FluidR3Mono_GM.sf3").write_bytes(soundfont(NAMES[:100]))
    with pytest.raises(DataError, match=r"expected a file TimGM6mb\.sf2"):
        notes.parse(tmp_path, CONFIG, tmp_path)
    (tmp_path / "TimGM6mb.sf2").write_bytes(soundfont(NAMES))
    with pytest.raises(DataError, match="the SoundFont has no program 100 of General MIDI"):
        notes.parse(tmp_path, CONFIG, tmp_path)
