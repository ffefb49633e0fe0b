"""Tux Paint's stamps: a picture, its caption and what is said of it, in several languages."""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from trivium.data.config import (
    image_shape,
    part_config,
    part_names,
    plain_option,
    sound_settings,
    square_side,
)
from trivium.data.errors import ConfigError, DataError
from trivium.data.formats.media import decode_picture, decode_pictures, decode_sounds
from trivium.data.formats.svg import render_file
from trivium.data.parsing import audio_part, connected, image_part, in_order, text_part
from trivium.data.splits import carve
from trivium.data.writer import Parsed
from trivium.types import Modality

CLIP = re.compile(r"(?P<picture>.+)_desc(_(?P<language>[A-Za-z@]+))?\.ogg")
"""Names of the clips; one without a language is English."""
VARIANTS = ("_mirror", "_flip")
"""What a picture's mirror images are called: what is said of them says their own name again."""
ENGLISH = "en"
LEAST = 20
"""Clips that a category needs to be a class of its own."""
OTHER = "other"
TEST = 0.2
"""Share of the groups of each category that is test."""


class Clip(NamedTuple):
    """One description: its file, its picture (a path without an ending) and its language."""

    path: Path
    picture: Path
    language: str


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
    the groups is test. Option: `on_error` (`raise` or `skip`). With the modality audio alone a
    sample is a description, whether it has a picture and a caption or not.

    Raises:
        ConfigError: `languages` is no list of words, `media` are others than the modality's, or
            the pictures are no squares of three channels.
        DataError: there are no stamps, or none in a language; or something broken (unless skipped).
    """
    media = _media(config)
    root = stamps_folder(folder)
    clips = choose_clips(root, config)
    if not media:
        return _speech(root, clips, config, scratch)
    stamps, names = _categorise([stamp for clip in clips if (stamp := _stamp(clip))], root)
    if not stamps:
        raise DataError(f"{config['name']}: no description in {root} has a picture and a caption")
    sums = sums_of(path for one in stamps for path in (one.picture, one.clip.path))
    groups = _groups(stamps, sums)
    good = np.ones(len(stamps), bool)
    parts: dict[Modality, Parsed] = {}
    rows: dict[Modality, np.ndarray] = {}
    for one in media:
        rows[one], first = _shared(_keys(stamps, one, sums))
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


def stamps_folder(folder: Path) -> Path:
    """Where the stamps lie in an unpacked package; the folder itself if it has no such."""
    return next((path for path in sorted(folder.rglob("stamps")) if path.is_dir()), folder)


def find_clips(root: Path) -> list[Clip]:
    """All descriptions below a folder, ordered by path, without those of mirror images."""
    found = []
    for path in sorted(root.rglob("*.ogg")):
        match = CLIP.fullmatch(path.name)
        if match and not any(variant in match["picture"] for variant in VARIANTS):
            language = match["language"] or ENGLISH
            found.append(Clip(path, path.with_name(match["picture"]), language))
    return found


def categories(folders: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Class ids of the clips' top folders, and the names, `other` last if there is any."""
    counts = Counter(folders)
    large = sorted(name for name, count in counts.items() if count >= LEAST)
    names = (*large, OTHER) if len(large) < len(counts) else tuple(large)
    ids = {name: number for number, name in enumerate(names)}
    return np.array([ids.get(name, len(large)) for name in folders], np.int64), names


def choose_clips(root: Path, config: Mapping[str, object]) -> list[Clip]:
    """The descriptions below a folder in the config's `languages`, ordered by path.

    Raises:
        ConfigError: `languages` is no list of words.
        DataError: there are none in a language; names those that there are.
    """
    languages = chosen_languages(config)
    every = find_clips(root)
    known = {clip.language for clip in every}
    if missing := [language for language in languages if language not in known]:
        raise DataError(
            f"{config['name']}: no descriptions in {', '.join(missing)} in {root}; there are some "
            f"in: {', '.join(sorted(known)) or 'no language'}"
        )
    return [clip for clip in every if clip.language in languages]


def count_languages(clips: Iterable[Clip], config: Mapping[str, object]) -> str:
    """How many there are in each of the config's `languages`, in their order: for notes."""
    counts = Counter(clip.language for clip in clips)
    return ", ".join(f"{counts[language]} in {language}" for language in chosen_languages(config))


def keys_of(clips: Sequence[Clip], sums: Mapping[Path, str]) -> list[set[tuple[str, str]]]:
    """What makes clips near copies: their picture, their bytes, and each caption of the picture.

    Captions are those in English and in any language of the clips; `sums` are of the clips' files.
    """
    languages = {clip.language for clip in clips} | {ENGLISH}
    captions = {clip.picture: read_captions(clip.picture, languages) for clip in clips}
    return [
        {("picture", str(clip.picture)), ("bytes", sums[clip.path]), *captions[clip.picture]}
        for clip in clips
    ]


def sums_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Sha256 of the bytes of some files."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in set(paths)}


def read_captions(picture: Path, languages: Iterable[str]) -> set[tuple[str, str]]:
    """(language, caption) of a picture's text file, without case, marks and spaces."""
    lines = caption_lines(picture)
    told = [
        (one, re.sub(r"[\W_]+", "", text).casefold()) for one, text in lines if one in languages
    ]
    return {(language, caption) for language, caption in told if caption}


def caption_lines(picture: Path) -> list[tuple[str, str]]:
    """(language, caption) as they stand in a picture's text file; empty if there is none.

    Its first line is the English caption, another is such as `fr.utf8=Un canard.`
    """
    path = picture.with_name(f"{picture.name}.txt")
    if not path.is_file():
        return []
    first, *others = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    lines = [line.partition(".utf8=") for line in others]
    return [(ENGLISH, first), *((language, text) for language, mark, text in lines if mark)]


def chosen_languages(config: Mapping[str, object]) -> list[str]:
    """The config's `languages`, each once.

    Raises:
        ConfigError: it is no list of words.
    """
    value = config.get("languages")
    listed = [*value] if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not listed or not all(isinstance(word, str) for word in listed):
        raise ConfigError(
            f"{config.get('name')}: languages is {value!r}; expected a list such as [fr, es]"
        )
    return list(dict.fromkeys(listed))


def _shared(keys: Sequence[Hashable]) -> tuple[Int64[np.ndarray, " sample"], list[int]]:
    """Equal things once: the row of each sample, and for each row the sample that is first."""
    rows: dict[Hashable, int] = {}
    first = []
    for sample, key in enumerate(keys):
        if key not in rows:
            rows[key] = len(rows)
            first.append(sample)
    return np.array([rows[key] for key in keys], np.int64), first


def _speech(
    root: Path, clips: Sequence[Clip], config: Mapping[str, object], scratch: Path
) -> Parsed:
    """Descriptions alone, ordered by path; categories are counted by clip."""
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    settings, _ = sound_settings(config)
    labels, names = categories([clip.picture.relative_to(root).parts[0] for clip in clips])
    groups = connected(keys_of(clips, sums_of(clip.path for clip in clips)))
    sources = ((str(clip.path), clip.path) for clip in clips)
    sounds = decode_sounds(sources, len(clips), settings.rate, scratch, on_error)
    train, test = carve(np.flatnonzero(sounds.good), labels, TEST, stream=1, groups=groups)
    told = count_languages(clips, config)
    return audio_part(sounds, config)._replace(
        labels={"category": labels},
        tasks={"category": names},
        train=train,
        test=test,
        notes=(f"{len(clips)} descriptions ({told}) in {groups.max() + 1} groups.",),
        groups=groups,
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
    own, total = part_config(config, modality), len(stamps)
    if modality == "text":
        return text_part([one.caption for one in stamps], own), np.ones(total, bool)
    on_error = plain_option(config, "on_error", ("raise", "skip"))
    if modality == "image":
        square_side(own, "spec.image.shape")
        sources = ((str(one.picture), one.picture) for one in stamps)
        pixels, good = decode_pictures(sources, total, image_shape(own), scratch, on_error, _draw)
        return image_part(pixels), good
    told = ((str(one.clip.path), one.clip.path) for one in stamps)
    clips = decode_sounds(told, total, sound_settings(own)[0].rate, scratch, on_error)
    return audio_part(clips, own), clips.good


def _draw(source: Path | bytes, shape: tuple[int, ...], name: str) -> np.ndarray:
    if isinstance(source, Path) and source.suffix == ".svg":
        return render_file(source, shape[-1])
    return decode_picture(source, shape, name, "pad")
