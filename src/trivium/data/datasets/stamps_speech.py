"""Spoken descriptions of Tux Paint's stamps, in one language or several."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trivium.data.config import plain_option, sound_settings
from trivium.data.datasets.layout import connected
from trivium.data.datasets.soundfiles import decode_all
from trivium.data.datasets.tuxpaint import (
    categories,
    choose_clips,
    count_languages,
    keys_of,
    stamps_folder,
    sums_of,
)
from trivium.data.splits import carve
from trivium.data.writer import Parsed, Waves

TEST = 0.2
"""Share of the groups of each category that is test."""


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Decode the descriptions in the config's `languages`, ordered by path.

    The task `category` is the top folder of the picture; those with fewer than 20 clips are
    together `other`. A language is one voice or a few, so that it is no task. A fifth is test. No
    group is on two sides of a split: clips of one picture in all languages, of equal captions
    and of equal bytes are one group. Option: `on_error` (`raise` or `skip`).

    Raises:
        ConfigError: `languages` is no list of words.
        DataError: there are no stamps, or none in a language; or a broken clip (unless skipped).
    """
    settings, frames = sound_settings(config)
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    root = stamps_folder(folder)
    clips = choose_clips(root, config)
    labels, names = categories([clip.picture.relative_to(root).parts[0] for clip in clips])
    groups = connected(keys_of(clips, sums_of(clip.path for clip in clips)))
    sources = ((str(clip.path), clip.path) for clip in clips)
    sounds = decode_all(sources, settings.rate, scratch, on_error, len(clips))
    train, test = carve(np.flatnonzero(sounds.good), labels, TEST, stream=1, groups=groups)
    told = count_languages(clips, config)
    return Parsed(
        {},
        {"category": labels},
        {"category": names},
        train,
        test,
        notes=(f"{len(clips)} descriptions ({told}) in {groups.max() + 1} groups.",),
        groups=groups,
        waves=Waves(sounds.flat, sounds.offsets, settings, frames),
    )
