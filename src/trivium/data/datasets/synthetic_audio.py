"""Generated tones whose every latent factor is known, so that tests can assert the truth."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float, Int16, Int64

from trivium.data.config import number, sound_settings
from trivium.data.datasets.soundfiles import to_int16, write_flat
from trivium.data.errors import ConfigError
from trivium.data.writer import Parsed, Waves

TIMBRES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "pure": ((1, 1),),
    "hollow": tuple((n, 1 / n) for n in (1, 3, 5, 7, 9)),
    "bright": tuple((n, 1 / n**0.5) for n in range(1, 9)),
    "organ": ((1, 1), (2, 1), (4, 1), (8, 1)),
    "bell": ((1, 1), (2.76, 0.8), (5.4, 0.6), (8.93, 0.4)),
}
"""Partials of each timbre: multiples of the pitch, and amplitudes."""
PITCHES = {"E3": 164.8, "A3": 220.0, "D4": 293.7, "G4": 392.0}
"""Hz of each pitch."""
NOISES = {"clean": 0.002, "noisy": 0.05}
"""Standard deviation of white noise, of a tone whose own is at most 0.2."""
LENGTHS = {"short": (0.35, 0.5), "medium": (0.6, 0.75), "long": (0.85, 1.0)}
"""Bounds of a clip's share of the longest clip."""
FACTORS: dict[str, tuple[str, ...]] = {
    "timbre": tuple(TIMBRES),
    "pitch": tuple(PITCHES),
    "envelope": ("pluck", "swell", "steady", "tremolo"),
    "noise": tuple(NOISES),
    "length": tuple(LENGTHS),
}
"""Tasks and their classes."""
LOUDNESS = 0.2
"""Root mean square of the loudest tone before its envelope."""
CHUNK = 512


def parse(folder: Path | None, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Play `num_train + num_test` tones from `seed`; each factor is a task, timbre first.

    The longest clip is `spec.shape` frames long. `visible` lists the factors that can be heard;
    the others keep their labels, but nothing of them can be found in the wave.

    Raises:
        ConfigError: an unknown factor.
    """
    settings, frames = sound_settings(config)
    num_train = int(number(config, "num_train", 8000))
    total = num_train + int(number(config, "num_test", 2000))
    rng = np.random.Generator(np.random.PCG64(int(number(config, "seed", 0))))
    given = config.get("visible")
    visible = tuple(FACTORS) if given is None else cast(Sequence[str], given)
    if unknown := sorted(set(visible) - set(FACTORS)):
        raise ConfigError(f"synthetic_audio: unknown {unknown[0]}; factors: {', '.join(FACTORS)}")
    labels = {task: rng.integers(len(names), size=total) for task, names in FACTORS.items()}
    heard = {
        task: ids if task in visible else rng.integers(len(FACTORS[task]), size=total)
        for task, ids in labels.items()
    }
    clips = every_tone(heard, settings.rate, frames * settings.hop, rng)
    flat, offsets = write_flat(clips, scratch)
    return Parsed(
        {},
        labels,
        dict(FACTORS),
        np.arange(num_train),
        np.arange(num_train, total),
        waves=Waves(flat, offsets, settings, frames),
    )


def every_tone(
    latents: Mapping[str, Int64[np.ndarray, " sample"]],
    rate: int,
    longest: int,
    rng: np.random.Generator,
) -> Iterator[Int16[np.ndarray, " place"]]:
    """As `tones`, of so many samples that they had better not be made at once."""
    for first in range(0, len(latents["timbre"]), CHUNK):
        part = {task: ids[first : first + CHUNK] for task, ids in latents.items()}
        yield from tones(part, rate, longest, rng)


def tones(
    latents: Mapping[str, Int64[np.ndarray, " sample"]],
    rate: int,
    longest: int,
    rng: np.random.Generator,
) -> list[Int16[np.ndarray, " place"]]:
    """One tone for each sample, of the pitch, timbre, envelope, noise and length of its latents.

    Nuisances, independent of every factor: the phases of the partials, the loudness (within
    6 dB), the tuning (within a quarter of a semitone) and the length within its bounds. Partials
    that the rate cannot hold are left out.
    """
    num = len(latents["timbre"])
    pitch = np.array(list(PITCHES.values()))[latents["pitch"]]
    pitch = pitch * 2 ** rng.uniform(-0.25 / 12, 0.25 / 12, num)
    bounds = np.array(list(LENGTHS.values()))[latents["length"]]
    lengths = np.round(longest * rng.uniform(*bounds.T)).astype(np.int64)
    wave = np.zeros((num, longest), np.float32)
    for kind, partials in enumerate(TIMBRES.values()):
        rows = np.flatnonzero(latents["timbre"] == kind)
        wave[rows] = _played(pitch[rows], partials, rate, longest, rng)
    loudness = LOUDNESS * rng.uniform(0.5, 1, (num, 1)).astype(np.float32)
    deviation = np.array(list(NOISES.values()), np.float32)[latents["noise"]]
    wave *= loudness * envelopes(latents["envelope"], lengths, rate, longest)
    wave += deviation[:, None] * rng.standard_normal(wave.shape, np.float32)
    return [to_int16(row[:length]) for row, length in zip(wave, lengths, strict=True)]


def envelopes(
    kinds: Int64[np.ndarray, " sample"],
    lengths: Int64[np.ndarray, " sample"],
    rate: int,
    longest: int,
) -> Float[np.ndarray, "sample place"]:
    """Loudness over time in [0, 1]: `pluck` falls by 26 dB over a clip, `swell` rises as much.

    `tremolo` goes up and down 12 times per second. All fade in and out within 5 ms.
    """
    place = np.arange(longest, dtype=np.float32)
    share = place / lengths[:, None].astype(np.float32)
    edge = 0.005 * rate
    fade = np.clip(np.minimum(place, lengths[:, None] - place) / edge, 0, 1)
    shapes = [
        np.exp(-3 * share),
        np.exp(-3 * (1 - np.minimum(share, 1))),
        np.ones_like(share),
        np.broadcast_to(0.55 - 0.45 * np.cos(2 * np.pi * 12 * place / rate), share.shape),
    ]
    loudness: np.ndarray = fade * np.choose(kinds[:, None], shapes)
    return loudness.astype(np.float32)


def _played(
    pitch: np.ndarray,
    partials: Sequence[tuple[float, float]],
    rate: int,
    longest: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sums of sines with random phases, each sum with a root mean square of about one."""
    turns = (pitch[:, None] * np.arange(longest) / rate).astype(np.float32)
    wave = np.zeros_like(turns)
    power = np.zeros(len(pitch))
    for multiple, amplitude in partials:
        held = amplitude * (pitch * multiple < 0.49 * rate)
        phase = rng.uniform(0, 2 * np.pi, (len(pitch), 1)).astype(np.float32)
        sine = np.sin(np.float32(2 * np.pi * multiple) * turns + phase)
        wave += held[:, None].astype(np.float32) * sine
        power += held**2 / 2
    return wave / np.sqrt(power)[:, None].astype(np.float32)
