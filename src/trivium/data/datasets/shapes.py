"""Drawing synthetic pictures: signed distances to simple shapes, many samples at once."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

Plane = NDArray[np.float32]

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
