"""Drawing shapes and playing tones of known latent factors, many samples at once."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int16, Int64, UInt8
from numpy.typing import NDArray

from trivium.data.formats.media import to_int16

Plane = NDArray[np.float32]
CHUNK = 512
"""Tones that are made together."""
COLOURS = np.array(
    [
        (0.9, 0.2, 0.2),
        (0.2, 0.8, 0.2),
        (0.25, 0.35, 1.0),
        (0.9, 0.8, 0.1),
        (0.9, 0.2, 0.9),
        (0.1, 0.8, 0.9),
    ],
    np.float32,
)
"""RGB in [0, 1] of the six colours."""
RADII = np.array([0.055, 0.08, 0.105], np.float32)
"""Radius of the three sizes as a share of the picture's side."""
CENTRES = np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)], np.float32) * 0.25
"""(x, y) of the four positions, from the picture's centre."""
PLACES = np.array([(-1, -1), (1, 1), (1, -1), (-1, 1)], np.float32) * 0.115
"""Where a group's first, second, ... member stands, from the group's centre."""
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
LOUDNESS = 0.2
"""Root mean square of the loudest tone before its envelope."""


def draw(
    latents: Mapping[str, np.ndarray], size: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "sample 3 size size"]:
    """Draw `count` shapes of one kind, colour and size around one of four positions.

    Nuisances, independent of every factor: grey of the background, small shifts, rotation and
    tint, and pixel noise.
    """
    num = len(latents["shape"])
    ground = rng.uniform(0.0, 0.3, (num, 1, 1, 1)).astype(np.float32)
    tint = rng.uniform(-0.1, 0.1, (num, 3)).astype(np.float32)
    angle = rng.uniform(-0.3, 0.3, num).astype(np.float32)
    shift = rng.uniform(-0.02, 0.02, (num, 2)).astype(np.float32)
    noise = rng.normal(0, 0.02, (num, 3, size, size)).astype(np.float32)
    cover = _cover(latents, CENTRES[latents["position"]] + shift, angle, size)[:, None]
    paint = (COLOURS[latents["colour"]] + tint)[:, :, None, None]
    pixels = ground + cover * (paint - ground) + noise
    quantised: UInt8[np.ndarray, "sample 3 size size"] = (pixels.clip(0, 1) * 255 + 0.5).astype(
        np.uint8
    )
    return quantised


def _cover(
    latents: Mapping[str, np.ndarray], centre: np.ndarray, angle: np.ndarray, size: int
) -> Float[np.ndarray, "sample size size"]:
    """How much of each pixel lies inside of any shape, antialiased."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    radius = RADII[latents["size"]][:, None, None]
    cover = np.zeros((len(angle), size, size), np.float32)
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    for member, place in enumerate(PLACES):
        for kind, distance in enumerate(DISTANCES):
            who = np.flatnonzero((latents["shape"] == kind) & (latents["count"] >= member))
            middle = centre[who] + place
            x = axis[None, None, :] - middle[:, 0, None, None]
            y = axis[None, :, None] - middle[:, 1, None, None]
            turned = cos[who] * x - sin[who] * y, sin[who] * x + cos[who] * y
            inside = (0.5 - size * distance(*turned, radius[who])).clip(0, 1)
            cover[who] = np.maximum(cover[who], inside)
    return cover


def _circle(x: Plane, y: Plane, r: Plane) -> Plane:
    distance: Plane = np.hypot(x, y) - r
    return distance


def _square(x: Plane, y: Plane, r: Plane) -> Plane:
    distance: Plane = np.maximum(np.abs(x), np.abs(y)) - 0.9 * r
    return distance


def _triangle(x: Plane, y: Plane, r: Plane) -> Plane:
    distance: Plane = np.maximum(0.866 * np.abs(x) - 0.5 * y, y) - 0.55 * r
    return distance


def _cross(x: Plane, y: Plane, r: Plane) -> Plane:
    x, y = np.abs(x), np.abs(y)
    distance: Plane = np.maximum(np.maximum(x, y) - r, np.minimum(x, y) - 0.3 * r)
    return distance


def _ring(x: Plane, y: Plane, r: Plane) -> Plane:
    distance: Plane = np.abs(np.hypot(x, y) - 0.75 * r) - 0.25 * r
    return distance


DISTANCES = (_circle, _square, _triangle, _cross, _ring)
"""In the order of the factor's values."""


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
