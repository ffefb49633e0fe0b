"""The latent factors behind the synthetic data: what a sample is about, before any modality."""

from collections.abc import Iterable, Mapping

import numpy as np

from trivium.data.errors import ConfigError

FACTORS: Mapping[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "cross", "ring"),
    "colour": ("red", "green", "blue", "yellow", "magenta", "cyan"),
    "size": ("small", "medium", "large"),
    "position": ("top left", "top right", "bottom left", "bottom right"),
    "count": ("one", "two", "three", "four"),
}
"""Every factor with its values; shape is the main one."""


def draw_latents(num_samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Independent, uniform values (int64 ids) of every factor."""
    return {name: rng.integers(len(values), size=num_samples) for name, values in FACTORS.items()}


def hide(latents: Mapping[str, np.ndarray], visible: Iterable[str]) -> dict[str, np.ndarray]:
    """What one modality gets to show: factors not in `visible` are set to their first value.

    Raises:
        ConfigError: an unknown factor.
    """
    shown = set(visible)
    if unknown := shown - FACTORS.keys():
        raise ConfigError(f"synthetic: unknown factor {unknown.pop()!r}; has {', '.join(FACTORS)}")
    return {name: ids if name in shown else np.zeros_like(ids) for name, ids in latents.items()}
