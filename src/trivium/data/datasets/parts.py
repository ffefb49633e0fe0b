"""The parts of a dataset of several modalities: content alone, without labels and splits."""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from trivium.data.config import part_config, sound_settings
from trivium.data.datasets.soundfiles import Clips
from trivium.data.datasets.tokenization import tokenization
from trivium.data.writer import Parsed, Waves
from trivium.types import MODALITIES, Modality

_NONE = np.empty(0, np.int64)


def image_part(pictures: np.ndarray) -> Parsed:
    """Pictures, uint8 [row, channel, height, width]."""
    return Parsed({"image": pictures}, {}, {}, _NONE, _NONE)


def text_part(texts: Sequence[str], config: Mapping[str, object]) -> Parsed:
    """Texts, with the tokenizer and the length of the whole dataset's config."""
    settings = tokenization(part_config(config, "text"))
    return Parsed({}, {}, {}, _NONE, _NONE, texts=texts, tokenizer=settings)


def audio_part(clips: Clips, config: Mapping[str, object]) -> Parsed:
    """Decoded sounds, with the spectrogram of the whole dataset's config."""
    waves = Waves(clips.flat, clips.offsets, *sound_settings(part_config(config, "audio")))
    return Parsed({}, {}, {}, _NONE, _NONE, waves=waves)


def in_order(names: Iterable[str]) -> tuple[Modality, ...]:
    """Modalities in the order of `MODALITIES`."""
    chosen = set(names)
    return tuple(one for one in MODALITIES if one in chosen)


def share(keys: Sequence[Hashable]) -> tuple[Int64[np.ndarray, " sample"], list[int]]:
    """Equal things once: the row of each sample, and for each row the sample that is first."""
    rows: dict[Hashable, int] = {}
    first = []
    for sample, key in enumerate(keys):
        if key not in rows:
            rows[key] = len(rows)
            first.append(sample)
    return np.array([rows[key] for key in keys], np.int64), first
