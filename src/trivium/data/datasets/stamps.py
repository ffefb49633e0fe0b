"""Tux Paint's stamps: a picture, its caption and what is said of it, in several languages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trivium.data.config import part_config, part_names, plain_option, sound_settings, square_side
from trivium.data.datasets.images import decode
from trivium.data.datasets.images import decode_all as decode_pictures
from trivium.data.datasets.layout import (
    audio_part,
    connected,
    image_part,
    in_order,
    share,
    text_part,
)
from trivium.data.datasets.soundfiles import decode_all as decode_sounds
from trivium.data.datasets.svg import render_file
from trivium.data.datasets.tuxpaint import (
    Clip,
    caption_lines,
    categories,
    choose_clips,
    chosen_languages,
    count_languages,
    keys_of,
    stamps_folder,
    sums_of,
)
from trivium.data.errors import ConfigError, DataError
from trivium.data.progress import track
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality

TEST = 0.2
"""Share of the groups of each category that is test."""


class Stamp(NamedTuple):
    """One sample: a description, the file of its picture, and its caption in that language."""

    clip: Clip
    picture: Path
    caption: str
    category: int = 0


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:
    """Read all stamps that have a picture, and caption and description in one of `languages`.

    A sample is a stamp in a language, in the order of the descriptions' paths; the language is its
    stratum. Pictures lie whole on white. Equal pictures, captions and descriptions of one
    category, within a language, are one row. The modalities are those of the config (or of its
    `media`, which must be the same); samples, groups and splits do not depend on them, unless
    something is skipped. The task `category` is the top folder; those with fewer than 20 stamps
    are together `other`. No group is on two sides of a split: samples of one picture, of equal
    captions in any of the languages or in English, and of equal bytes are one group; a fifth of
    the groups is test. Option: `on_error` (`raise` or `skip`).

    Raises:
        ConfigError: `languages` is no list of words, `media` are others than the modality's, or
            the pictures are no squares of three channels.
        DataError: there are no stamps, or none in a language; or something broken (unless skipped).
    """
    media = _media(config)
    root = stamps_folder(folder)
    clips = choose_clips(root, config)
    stamps, names = _categorise([stamp for clip in clips if (stamp := _stamp(clip))], root)
    if not stamps:
        raise DataError(f"{config['name']}: no description in {root} has a picture and a caption")
    sums = sums_of(path for one in stamps for path in (one.picture, one.clip.path))
    groups = _groups(stamps, sums)
    good = np.ones(len(stamps), bool)
    parts: dict[Modality, Parsed] = {}
    rows: dict[Modality, np.ndarray] = {}
    for one in media:
        rows[one], first = share(_keys(stamps, one, sums))
        chosen = [stamps[sample] for sample in first]
        parts[one], whole = _read(one, chosen, config, scratch)
        good &= whole[rows[one]]
    labels = np.array([one.category for one in stamps], np.int64)
    train, test = carve(np.flatnonzero(good), labels, TEST, stream=1, groups=groups)
    used = {one.clip.language for one in stamps}
    languages = tuple(word for word in chosen_languages(config) if word in used)
    told = count_languages((one.clip for one in stamps), config)
    return Parsed(
        {},
        {"category": labels},
        {"category": names},
        train,
        test,
        notes=(
            f"{len(stamps)} stamps in a language ({told}) in {groups.max() + 1} groups; "
            f"{len(clips) - len(stamps)} descriptions have no picture or caption.",
        ),
        groups=groups,
        parts=parts,
        rows=rows,
        strata=np.array([languages.index(one.clip.language) for one in stamps], np.int64),
        stratum_names=languages,
    )


def _media(config: Mapping[str, object]) -> tuple[Modality, ...]:
    names = part_names(config)
    given = config.get("media")
    listed = [*given] if isinstance(given, Sequence) and not isinstance(given, str) else []
    if given is not None and sorted(map(str, listed)) != sorted(names):
        raise ConfigError(
            f"{config.get('name')}: media is {given!r}, but modality is {config.get('modality')}; "
            "name the same, two at least"
        )
    return in_order(names)


def _stamp(clip: Clip) -> Stamp | None:
    """What belongs to a description; None where there is no picture or no caption."""
    candidates = (clip.picture.with_name(clip.picture.name + end) for end in (".png", ".svg"))
    picture = next((path for path in candidates if path.is_file()), None)
    said = dict(reversed(caption_lines(clip.picture)))
    caption = " ".join(said.get(clip.language, "").split())
    return Stamp(clip, picture, caption) if picture and caption else None


def _categorise(stamps: Sequence[Stamp], root: Path) -> tuple[list[Stamp], tuple[str, ...]]:
    """The stamps with their categories, counted by picture and not by language."""
    pictures = list(dict.fromkeys(stamp.picture for stamp in stamps))
    labels, names = categories([path.relative_to(root).parts[0] for path in pictures])
    of_picture = dict(zip(pictures, labels.tolist(), strict=True))
    return [stamp._replace(category=of_picture[stamp.picture]) for stamp in stamps], names


def _groups(stamps: Sequence[Stamp], sums: Mapping[Path, str]) -> np.ndarray:
    pairs = zip(keys_of([one.clip for one in stamps], sums), stamps, strict=True)
    return connected([keys | {("bytes", sums[one.picture])} for keys, one in pairs])


def _keys(
    stamps: Sequence[Stamp], modality: Modality, sums: Mapping[Path, str]
) -> list[tuple[object, ...]]:
    """What is equal of samples that share a row; one category, since a row has one label."""
    if modality == "text":
        return [(one.category, one.clip.language, one.caption) for one in stamps]
    if modality == "audio":
        return [(one.category, one.clip.language, sums[one.clip.path]) for one in stamps]
    return [(one.category, sums[one.picture]) for one in stamps]


def _read(
    modality: Modality, stamps: Sequence[Stamp], config: Mapping[str, object], scratch: Path
) -> tuple[Parsed, np.ndarray]:
    """A part with one row for each of some stamps, and which of them are whole."""
    if modality == "text":
        return text_part([one.caption for one in stamps], config), np.ones(len(stamps), bool)
    own = part_config(config, modality)
    if modality == "image":
        square_side(own, "spec.image.shape")
        sources = track(((str(one.picture), one.picture) for one in stamps), "drawing", len(stamps))
        pixels, good = decode_pictures(sources, len(stamps), own, scratch, _draw)
        return image_part(pixels), good
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    told = ((str(one.clip.path), one.clip.path) for one in stamps)
    clips = decode_sounds(told, sound_settings(own)[0].rate, scratch, on_error, len(stamps))
    return audio_part(clips, config), clips.good


def _draw(source: Path | bytes, shape: tuple[int, ...], name: str) -> np.ndarray:
    if isinstance(source, Path) and source.suffix == ".svg":
        return render_file(source, shape[-1])
    return decode(source, shape, name, "pad")
