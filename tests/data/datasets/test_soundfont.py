import sys

import numpy as np
import pytest

from trivium.data.datasets.notes import Player
from trivium.data.errors import DataError

from .sf2 import soundfont

RATE = 16000


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pytest.importorskip("tinysoundfont")
    path = tmp_path_factory.mktemp("sf2") / "tiny.sf2"
    path.write_bytes(soundfont(["Sine", "Low Sine"], {1: 60}))
    return path


def play(player, program, *notes, held=0.4, released=0.1):
    return player.play(program, list(notes), held=held, released=released)


def frequency(wave):
    size = 1 << 17
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), size))
    return spectrum.argmax() * RATE / size


def test_a_note_has_the_frequency_of_its_key(path):
    waves = play(Player(path, RATE), 0, *[(key, 100) for key in (57, 69, 72, 81)])
    assert waves.shape == (4, 8000)
    for key, wave in zip((57, 69, 72, 81), waves, strict=True):
        assert frequency(wave[:6000]) == pytest.approx(441 * 2 ** ((key - 69) / 12), rel=1e-3)


def test_a_note_ends_when_its_key_is_let_go(path):
    (wave,) = play(Player(path, RATE), 0, (69, 100))
    assert wave[3000:6000].std() > 100 * wave[7000:].std()
    (longer,) = play(Player(path, RATE), 0, (69, 100), held=0.5, released=0)
    assert longer[7000:].std() == pytest.approx(wave[3000:6000].std(), rel=0.05)


def test_a_louder_touch_is_louder(path):
    waves = play(Player(path, RATE), 0, *[(69, velocity) for velocity in (20, 60, 127)])
    levels = waves.std(axis=1)
    assert (np.diff(levels) > 0.02).all()
    assert np.abs(waves).max() < 0.5


def test_a_program_may_lack_a_key(path):
    low, high = play(Player(path, RATE), 1, (60, 100), (61, 100))
    assert low.any()
    assert not high.any()


def test_a_note_does_not_hear_what_was_played_before(path, tmp_path):
    path = tmp_path / "long.sf2"
    path.write_bytes(soundfont(["Long", "Longer"], release=1200))  # two seconds
    player, notes = Player(path, RATE), [(69, 127), (57, 20), (69, 127), (81, 90), (57, 20)]
    together = play(player, 0, *notes)
    assert together[0, -100:].any()
    alone = [play(Player(path, RATE), 0, note)[0] for note in notes]
    np.testing.assert_array_equal(together, alone)
    play(player, 1, (36, 127))
    np.testing.assert_array_equal(play(player, 0, *notes), together)


def test_programs_have_their_names(path):
    player = Player(path, RATE)
    assert [player.name(number) for number in range(3)] == ["Sine", "Low Sine", None]


@pytest.mark.parametrize("content", [b"", b"RIFF no SoundFont", soundfont(["Sine"])[:600]])
def test_what_is_no_soundfont_is_named(tmp_path, content):
    pytest.importorskip("tinysoundfont")
    (tmp_path / "odd.sf2").write_bytes(content)
    with pytest.raises(DataError, match=r"odd\.sf2 is no readable SoundFont"):
        Player(tmp_path / "odd.sf2", RATE)


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(DataError, match="pip install --no-deps tinysoundfont"):
        Player(tmp_path / "any.sf2", RATE)
