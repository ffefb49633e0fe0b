"""Generated pictures, sentences and sounds of the same things; what they share is known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from trivium.data.config import (
    number,
    part_config,
    part_names,
    section,
    sound_settings,
    square_side,
)
from trivium.data.datasets.latents import FACTORS, draw_latents, hide
from trivium.data.datasets.layout import image_part, text_part
from trivium.data.datasets.shapes import draw
from trivium.data.datasets.soundfiles import write_flat
from trivium.data.datasets.synthetic_audio import every_tone
from trivium.data.errors import ConfigError
from trivium.data.writer import Parsed, Waves
from trivium.types import Modality

HEARD = {"shape": "timbre", "count": "pitch", "position": "envelope", "size": "length"}
"""Which quality of a tone tells of each factor; colours cannot be heard."""
OPENINGS = ("there is a picture with", "we see", "someone drew", "look at")
CHUNK = 512


def parse(folder: Path | None, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Show `num_train + num_test` sets of latent factors in each modality, from `seed`.

    `visible.MODALITY` lists the factors that a modality tells of; of the others nothing can be
    found in it. A share `missing` of the samples lacks one modality, if there are three.
    `shuffled` takes the picture, the sentence and the sound of a sample from different ones, so
    that nothing connects them. Every factor is a task.

    Raises:
        ConfigError: an unknown factor, one that cannot be heard, a modality that `modality` does
            not name, or another shape.
    """
    num_train = int(number(config, "num_train", 8000))
    total = num_train + int(number(config, "num_test", 2000))
    rng = np.random.Generator(np.random.PCG64(int(number(config, "seed", 0))))
    latents = draw_latents(total, rng)
    names = cast(tuple[Modality, ...], part_names(config))
    visible = section(config, "visible")
    if unknown := sorted(set(visible) - set(names)):
        raise ConfigError(
            f"{config['name']}: visible has {unknown[0]}; it may have: {', '.join(names)}"
        )
    if not isinstance(shuffled := config.get("shuffled") or False, bool):
        raise ConfigError(f"{config['name']}: shuffled is {shuffled!r}; expected true or false")
    shown: dict[Modality, dict[str, np.ndarray]] = {}
    for one in names:
        factors = tuple(FACTORS) if one not in visible else cast(Sequence[str], visible[one])
        order = np.arange(total)
        if shuffled:
            for part in (slice(0, num_train), slice(num_train, total)):
                order[part] = rng.permutation(order[part])
        hidden = hide(latents, factors)
        shown[one] = {factor: hidden[factor][order] for factor in factors}
    parts: dict[Modality, Parsed] = {}
    if "image" in names:
        parts["image"] = _pictures(shown["image"], total, config, rng)
    if "text" in names:
        texts = [sentence(shown["text"], row, rng) for row in range(total)]
        parts["text"] = text_part(texts, config)
    if "audio" in names:
        parts["audio"] = _sounds(shown["audio"], total, config, rng, scratch)
    rows = {one: np.arange(total) for one in parts}
    share = float(number(config, "missing", 0.0))
    if not 0 <= share <= 1 or (share and len(rows) < 3):
        raise ConfigError(
            f"{config['name']}: missing is {share}; expected a share, of three modalities alone"
        )
    lacking = rng.random(total) < share
    which = rng.integers(len(rows), size=total)
    for place, one in enumerate(rows):
        rows[one][lacking & (which == place)] = -1
    return Parsed(
        columns={},
        labels=latents,
        tasks=dict(FACTORS),
        train=np.arange(num_train),
        test=np.arange(num_train, total),
        parts=parts,
        rows=rows,
    )


def sentence(shown: Mapping[str, np.ndarray], row: int, rng: np.random.Generator) -> str:
    """What one sample shows in words, such as `we see three small red cross at the top left`."""
    word = {factor: FACTORS[factor][ids[row]] for factor, ids in shown.items()}
    known = [word[factor] for factor in ("count", "size", "colour", "shape") if factor in word]
    end = [f"at the {word['position']}"] if "position" in word else []
    return " ".join([OPENINGS[rng.integers(len(OPENINGS))], *known, *end])


def _full(shown: Mapping[str, np.ndarray], total: int) -> dict[str, np.ndarray]:
    """What is not shown has its first value throughout."""
    return {factor: shown.get(factor, np.zeros(total, np.int64)) for factor in FACTORS}


def _pictures(
    shown: Mapping[str, np.ndarray],
    total: int,
    config: Mapping[str, object],
    rng: np.random.Generator,
) -> Parsed:
    width = square_side(part_config(config, "image"), "spec.image.shape")
    full, found = _full(shown, total), []
    for first in range(0, total, CHUNK):
        part = {factor: ids[first : first + CHUNK] for factor, ids in full.items()}
        found.append(draw(part, width, rng))
    return image_part(np.concatenate(found))


def _sounds(
    shown: Mapping[str, np.ndarray],
    total: int,
    config: Mapping[str, object],
    rng: np.random.Generator,
    scratch: Path,
) -> Parsed:
    if mute := sorted(set(shown) - set(HEARD)):
        raise ConfigError(
            f"{config['name']}: {mute[0]} cannot be heard; visible.audio has {', '.join(HEARD)}"
        )
    settings, frames = sound_settings(part_config(config, "audio"))
    full = _full(shown, total)
    heard = {quality: full[factor] for factor, quality in HEARD.items()}
    heard["noise"] = np.zeros(total, np.int64)
    clips = every_tone(heard, settings.rate, frames * settings.hop, rng)
    none = np.empty(0, np.int64)
    waves = Waves(*write_flat(clips, scratch), settings, frames)
    return Parsed({}, {}, {}, none, none, waves=waves)
