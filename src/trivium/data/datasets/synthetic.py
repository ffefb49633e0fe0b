"""Generated pictures whose every latent factor is known, so that tests can assert the truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from trivium.data.config import image_shape, number
from trivium.data.datasets.latents import FACTORS, draw_latents, hide
from trivium.data.datasets.shapes import draw
from trivium.data.errors import ConfigError
from trivium.data.writer import Parsed

CHUNK = 1024


def parse(folder: Path | None, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Draw `num_train + num_test` samples from `seed`; each factor is a task, shape the main one.

    `visible` lists the factors that the picture shows; the others keep their labels, but
    nothing of them can be found in the pixels. `spec.shape` must be [3, size, size].

    Raises:
        ConfigError: another shape, or an unknown factor.
    """
    channels, height, width = image_shape(config)
    if channels != 3 or height != width:
        raise ConfigError(f"synthetic: spec.shape is {config['spec']}; expected [3, size, size]")
    num_train, num_test = (
        int(number(config, "num_train", 8000)),
        int(number(config, "num_test", 2000)),
    )
    rng = np.random.Generator(np.random.PCG64(int(number(config, "seed", 0))))
    latents = draw_latents(num_train + num_test, rng)
    visible = config.get("visible")
    shown = hide(latents, FACTORS if visible is None else cast(Sequence[str], visible))
    chunks = range(0, num_train + num_test, CHUNK)
    images = [draw({k: v[i : i + CHUNK] for k, v in shown.items()}, width, rng) for i in chunks]
    return Parsed(
        columns={"image": np.concatenate(images)},
        labels=latents,
        tasks=dict(FACTORS),
        train=np.arange(num_train),
        test=np.arange(num_train, num_train + num_test),
    )
