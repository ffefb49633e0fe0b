"""Spoken descriptions of Tux Paint's stamps, in one language or several."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trivium.data.config import plain_option, sound_settings
from trivium.data.datasets.soundfiles import decode_all
from trivium.data.errors import ConfigError, DataError
from trivium.data.splits import carve
from trivium.data.writer import Parsed, Waves

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
    languages = _languages(config)
    root = next((path for path in sorted(folder.rglob("stamps")) if path.is_dir()), folder)
    clips = [clip for clip in find_clips(root) if clip.language in languages]
    counts = Counter(clip.language for clip in clips)
    if missing := [language for language in languages if not counts[language]]:
        known = sorted({clip.language for clip in find_clips(root)})
        raise DataError(
            f"{config['name']}: no descriptions in {', '.join(missing)} in {root}; there are some "
            f"in: {', '.join(known) or 'no language'}"
        )
    labels, names = categories([clip.picture.relative_to(root).parts[0] for clip in clips])
    groups = group_clips(clips)
    sources = ((str(clip.path), clip.path) for clip in clips)
    sounds = decode_all(sources, settings.rate, scratch, on_error, len(clips))
    train, test = carve(np.flatnonzero(sounds.good), labels, TEST, stream=1, groups=groups)
    told = ", ".join(f"{counts[language]} in {language}" for language in languages)
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


def group_clips(clips: Sequence[Clip]) -> np.ndarray:
    """Connected components of clips that share a picture, a caption or all their bytes."""
    languages = {clip.language for clip in clips} | {ENGLISH}
    captions = {clip.picture: read_captions(clip.picture, languages) for clip in clips}
    keys = [
        {
            ("picture", str(clip.picture)),
            ("bytes", hashlib.sha256(clip.path.read_bytes()).hexdigest()),
            *captions[clip.picture],
        }
        for clip in clips
    ]
    return connected(keys)


def connected(keys: Sequence[Iterable[object]]) -> np.ndarray:
    """The group of each sample: samples that share a key, or are linked by others, are one."""
    ids: dict[object, int] = {}
    pairs = [
        (row, ids.setdefault(key, len(ids))) for row, of_row in enumerate(keys) for key in of_row
    ]
    rows, columns = np.array(pairs, np.int64).T
    num = len(keys) + len(ids)
    edges = coo_array((np.ones(len(rows)), (rows, len(keys) + columns)), (num, num))
    _, component = connected_components(edges, directed=False)
    _, groups = np.unique(component[: len(keys)], return_inverse=True)
    return groups.astype(np.int64)


def read_captions(picture: Path, languages: Iterable[str]) -> set[tuple[str, str]]:
    """(language, caption) of a picture's text file, without case, marks and spaces.

    Its first line is the English caption, another is such as `fr.utf8=Un canard.`; empty where
    there is no such file.
    """
    path = picture.with_name(f"{picture.name}.txt")
    if not path.is_file():
        return set()
    first, *others = path.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    lines = [(ENGLISH, first)]
    for line in others:
        language, mark, caption = line.partition(".utf8=")
        if mark and language in languages:
            lines.append((language, caption))
    told = [(language, re.sub(r"[\W_]+", "", caption).casefold()) for language, caption in lines]
    return {(language, caption) for language, caption in told if caption}


def _languages(config: Mapping[str, object]) -> list[str]:
    value = config.get("languages")
    listed = [*value] if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not listed or not all(isinstance(word, str) for word in listed):
        raise ConfigError(
            f"{config.get('name')}: languages is {value!r}; expected a list such as [fr, es]"
        )
    return list(dict.fromkeys(listed))
