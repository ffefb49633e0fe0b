"""The stamps of Tux Paint: a picture, its captions and what is said of it, by name of file."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trivium.data.errors import ConfigError, DataError

CLIP = re.compile(r"(?P<picture>.+)_desc(_(?P<language>[A-Za-z@]+))?\.ogg")
"""Names of the clips; one without a language is English."""
VARIANTS = ("_mirror", "_flip")
"""What a picture's mirror images are called: what is said of them says their own name again."""
ENGLISH = "en"
LEAST = 20
"""Clips that a category needs to be a class of its own."""
OTHER = "other"


class Clip(NamedTuple):
    """One description: its file, its picture (a path without an ending) and its language."""

    path: Path
    picture: Path
    language: str


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
