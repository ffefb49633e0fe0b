"""Playing the instruments of a SoundFont: every note for itself, without an audio device."""

import importlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from trivium.data.errors import DataError

OVERSAMPLING = 3
"""Notes are rendered at so many times the rate and then resampled: at 16 kHz the synthesiser's
filters become unstable (amplitudes of 32), and high partials would be folded back."""
GAIN = -6.0
"""dB; the loudest notes of FluidR3 are 1.8 times full scale without it."""
REST = 0.05
"""Seconds that are thrown away after a note: what `sounds_off` cuts fades within 10 ms."""


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
