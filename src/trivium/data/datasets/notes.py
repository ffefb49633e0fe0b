"""Single notes of the 128 instruments of General MIDI, played by two SoundFonts."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from trivium.data.config import plain_option, sound_settings
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.media import to_int16, write_flat
from trivium.data.paths import locate
from trivium.data.progress import track
from trivium.data.writer import Parsed, Waves

SOUNDFONTS = {
    "fluidr3mono": ("FluidR3Mono_GM.sf3", "FluidR3Mono GM 2.315 by Frank Wen and others, MIT"),
    "timgm6mb": ("TimGM6mb.sf2", "TimGM6mb 1.3 by Tim Brechbill, GPL-2"),
}
"""File, and author and licence, of each SoundFont."""
FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass",
    "reed", "pipe", "synth lead", "synth pad", "synth effects", "ethnic", "percussive",
    "sound effects",
)  # fmt: skip
"""The families of General MIDI, of eight programs each."""
PROGRAMS = 128
HELD, RELEASED = 0.8, 0.2
"""Seconds of a note before and after its key is let go."""
OVERSAMPLING = 3
"""Notes are rendered at so many times the rate and then resampled: at 16 kHz the synthesiser's
filters become unstable (amplitudes of 32), and high partials would be folded back."""
GAIN = -6.0
"""dB; the loudest notes of FluidR3 are 1.8 times full scale without it."""
REST = 0.05
"""Seconds that are thrown away after a note: what `sounds_off` cuts fades within 10 ms."""


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Play every program at every pitch and velocity with both SoundFonts.

    A clip is a note of one second; its velocities are a group. Tasks: `family` (main) and
    `program`. `split: pitch` holds out the pitches `held_out` of both SoundFonts, and whole pitches
    become validation too; `split: soundfont` holds out one SoundFont, and has the task `pitch` as
    well. Silent notes (a program without a sample there) are left out.

    Raises:
        ConfigError: an unknown split, or pitches or velocities that are not whole numbers of
            MIDI.
        DataError: a SoundFont or the package that plays it is missing, or has no instruments.
    """
    settings, frames = sound_settings(config)
    split = plain_option(config, "split", ("pitch", "soundfont"))
    pitches, velocities = midi_numbers(config, "pitches"), midi_numbers(config, "velocities")
    apart = held_out(config, pitches) if split == "pitch" else []
    fonts = tuple(SOUNDFONTS)
    test_font = fonts.index(plain_option(config, "held_out", fonts)) if split != "pitch" else None
    keys = [(pitch, velocity) for pitch in pitches for velocity in velocities]
    kept: list[tuple[int, int, int]] = []
    silent = np.zeros(len(SOUNDFONTS), np.int64)
    players = [Player(locate(folder, file), settings.rate) for file, _ in SOUNDFONTS.values()]
    names = program_names(players[0])
    every = [(font, program) for font in range(len(players)) for program in range(PROGRAMS)]

    def clips() -> Iterator[np.ndarray]:
        for font, program in track(every, "playing notes", len(every)):
            waves = players[font].play(program, keys, held=HELD, released=RELEASED)
            for (pitch, _), wave in zip(keys, map(to_int16, waves), strict=True):
                if wave.any():
                    kept.append((font, program, pitches.index(pitch)))
                    yield wave
                else:
                    silent[font] += 1

    flat, offsets = write_flat(clips(), scratch)
    font, program, pitch = np.array(kept, np.int64).reshape(-1, 3).T
    labels = {"family": program // 8, "program": program}
    tasks: dict[str, tuple[str, ...]] = {"family": FAMILIES, "program": names}
    is_test = np.isin(np.array(pitches)[pitch], apart)
    if test_font is not None:
        is_test = font == test_font
        labels["pitch"], tasks["pitch"] = pitch, tuple(map(str, pitches))
    return Parsed(
        {}, labels, tasks, np.flatnonzero(~is_test), np.flatnonzero(is_test),
        notes=tuple(
            f"{name}: {(font == number).sum()} notes of {credit}; "
            f"{silent[number]} silent ones were left out."
            for number, (name, (_, credit)) in enumerate(SOUNDFONTS.items())
        ),
        groups=(font * PROGRAMS + program) * len(pitches) + pitch,
        wholes=pitch if test_font is None else None,
        waves=Waves(flat, offsets, settings, frames),
    )  # fmt: skip


def midi_numbers(config: Mapping[str, object], key: str) -> list[int]:
    """Ascending numbers of MIDI in a list of the config, each once.

    Raises:
        ConfigError: it is no list of different whole numbers in 1..127.
    """
    value = config.get(key)
    listed = [*value] if isinstance(value, Sequence) else []
    numbers = sorted({v for v in listed if type(v) is int and 0 < v < 128})
    if not numbers or len(numbers) < len(listed):
        raise ConfigError(
            f"{config.get('name')}: {key} is {value!r}; expected a list of different whole "
            "numbers in 1..127"
        )
    return numbers


def held_out(config: Mapping[str, object], pitches: Sequence[int]) -> list[int]:
    """The test pitches.

    Raises:
        ConfigError: they are no list of numbers, one is not played, or all are.
    """
    chosen = midi_numbers(config, "held_out")
    if not set(chosen) < set(pitches):
        raise ConfigError(
            f"{config.get('name')}: held_out is {chosen}; expected some, but not all, of the "
            f"pitches {list(pitches)}"
        )
    return chosen


def program_names(player: "Player") -> tuple[str, ...]:
    """What a SoundFont calls its programs, numbered from 1 as General MIDI does.

    Raises:
        DataError: it lacks one.
    """
    names = [player.name(program) for program in range(PROGRAMS)]
    if None in names:
        raise DataError(f"the SoundFont has no program {names.index(None)} of General MIDI")
    return tuple(f"{number} {name}" for number, name in enumerate(names, 1))


class Player:
    """A SoundFont (sf2 or sf3), played by TinySoundFont.

    Args:
        path: The SoundFont.
        rate: Samples per second of what `play` returns.

    Raises:
        DataError: the package `tinysoundfont` is missing, or the file is no SoundFont.
    """

    def __init__(self, path: Path, rate: int) -> None:
        try:
            tinysoundfont = importlib.import_module("tinysoundfont")
        except ImportError as error:
            raise DataError(
                "notes are played by the package tinysoundfont: pip install --no-deps "
                "tinysoundfont (without its dependency pyaudio, which is only for live sound)"
            ) from error
        self.rate = rate
        self.synth = tinysoundfont.Synth(gain=GAIN, samplerate=OVERSAMPLING * rate)
        try:
            self.font = self.synth.sfload(str(path))
        except Exception as error:  # the binding raises RuntimeError, or what its reader does
            raise DataError(f"{path} is no readable SoundFont ({error})") from error

    def name(self, program: int) -> str | None:
        """What the SoundFont calls a program (0..127) of its first bank; None if it has none."""
        name: str | None = self.synth.sfpreset_name(self.font, 0, program)
        return name

    def play(
        self, program: int, notes: list[tuple[int, int]], *, held: float, released: float
    ) -> Float[np.ndarray, "note sample"]:
        """Some notes of one program, each on its own, both channels averaged.

        Args:
            program: 0..127, as General MIDI counts from 0.
            notes: Pitch (0..127, 60 is middle C) and velocity (1..127) of each.
            held: Seconds before the key is let go.
            released: Seconds after it.
        """
        from torchaudio.functional import resample

        self.synth.program_select(0, self.font, 0, program)
        waves = np.stack([self._note(*note, held, released) for note in notes])
        played: np.ndarray = resample(torch.from_numpy(waves), OVERSAMPLING, 1).numpy()
        return played

    def _note(self, pitch: int, velocity: int, held: float, released: float) -> np.ndarray:
        self.synth.noteon(0, pitch, velocity)
        before = self._seconds(held)
        self.synth.noteoff(0, pitch)
        after = self._seconds(released)
        # Else the end of one note would be heard at the beginning of the next.
        self.synth.sounds_off(0)
        self._seconds(REST)
        return np.concatenate([before, after])

    def _seconds(self, seconds: float) -> np.ndarray:
        samples = round(seconds * self.rate) * OVERSAMPLING
        stereo = np.frombuffer(self.synth.generate_simple(samples), np.float32)
        return (stereo[::2] + stereo[1::2]) / 2
