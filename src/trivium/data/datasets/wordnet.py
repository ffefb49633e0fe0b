"""WordNet: definitions of words, with the broad kind of thing that each defines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trivium.data.config import plain_option
from trivium.data.errors import DataError
from trivium.data.parsing import tokenization
from trivium.data.paths import locate
from trivium.data.splits import carve
from trivium.data.writer import Parsed

PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
LEXNAMES = (
    "adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact",
    "noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event",
    "noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive", "noun.object",
    "noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process",
    "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time",
    "verb.body", "verb.change", "verb.cognition", "verb.communication", "verb.competition",
    "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion",
    "verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather",
    "adj.ppl",
)  # fmt: skip
"""Names of the lexicographer files, by number (the manual's lexnames(5WN))."""
LEAST = 500
"""Glosses that a noun supersense needs to be a class of its own."""
TEST = 0.2
SUBTREE = 100
"""Synsets that a group of relatives holds at most."""


class Synset(NamedTuple):
    """One line of a data file: part of speech, offset, lexicographer file, hypernym, gloss."""

    part: str
    offset: int
    lexname: int
    hypernym: int | None
    gloss: str


def parse(folder: Path, config: Mapping[str, object], scratch: Path) -> Parsed:  # noqa: ARG001
    """Read the glosses of WordNet 3.0, without their examples, each once.

    A gloss is cut where its first example begins (`; "`). Of equal glosses the first stays, with
    its label. `items: nouns` keeps the noun supersenses with 500 glosses or more (task
    `supersense`, 21 classes), `items: all` every gloss (task `lexname`, 45 classes). A fifth is
    test: `split: random` draws glosses, `split: hypernym` draws groups of relatives, so that no
    test gloss has a near relative in train. A group is the largest subtree of (first) hypernyms
    with at most 100 synsets around a synset; what stands above all of these is alone.

    Raises:
        DataError: a data file is missing or of another layout.
    """
    nouns = plain_option(config, "items", ("nouns", "all")) == "nouns"
    relatives = plain_option(config, "split", ("random", "hypernym")) == "hypernym"
    parts = ["noun"] if nouns else list(PARTS.values())
    every = [synset for part in parts for synset in read(locate(folder, f"data.{part}"))]
    kept: dict[str, Synset] = {}
    for synset in every:
        kept.setdefault(synset.gloss, synset)
    lexnames = np.array([synset.lexname for synset in kept.values()])
    present, counts = np.unique(lexnames, return_counts=True)
    classes = present[counts >= LEAST] if nouns else present
    chosen = np.isin(lexnames, classes)
    synsets = [synset for synset, good in zip(kept.values(), chosen, strict=True) if good]
    labels = np.searchsorted(classes, lexnames[chosen]).astype(np.int64)
    groups = subtrees(every, synsets) if relatives else None
    train, test = carve(np.arange(len(synsets)), labels, TEST, stream=1, groups=groups)
    task = "supersense" if nouns else "lexname"
    names = tuple(LEXNAMES[number].removeprefix("noun.") if nouns else LEXNAMES[number]
                  for number in classes)  # fmt: skip
    return Parsed(
        {}, {task: labels}, {task: names}, train, test,
        notes=(f"{len(every) - len(kept)} glosses occur again and were left out.",),
        groups=groups,
        texts=[synset.gloss for synset in synsets],
        tokenizer=tokenization(config),
    )  # fmt: skip


def read(path: Path) -> Iterator[Synset]:
    """The synsets of one data file (wndb(5WN)).

    Raises:
        DataError: a line is of another layout; names it.
    """
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.startswith(b"  ") or not line.strip():
            continue  # the licence
        try:
            head, gloss = _decoded(line).split("|", 1)
            yield _synset(head.split(), gloss.strip().split('; "')[0].strip())
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}, line {number} is no synset of WordNet ({error})") from error


def subtrees(every: Sequence[Synset], synsets: Sequence[Synset]) -> np.ndarray:
    """The group of each of `synsets` in the trees of all: largest subtrees of at most 100."""
    parent = {(s.part, s.offset): (s.part, s.hypernym) for s in every if s.hypernym is not None}
    sizes: dict[tuple[str, int], int] = {}
    for synset in every:
        for place in _upwards((synset.part, synset.offset), parent):
            sizes[place] = sizes.get(place, 0) + 1
    names: dict[tuple[str, int], int] = {}
    found = []
    for synset in synsets:
        line = list(_upwards((synset.part, synset.offset), parent))
        small = [place for place in line if sizes[place] <= SUBTREE]
        # A few verbs are hypernyms of each other: of equal sizes the same one for both.
        top = max(small, key=lambda place: (sizes[place], place)) if small else line[0]
        found.append(names.setdefault(top, len(names)))
    return np.array(found, np.int64)


def _upwards(
    place: tuple[str, int], parent: Mapping[tuple[str, int], tuple[str, int]]
) -> Iterator[tuple[str, int]]:
    seen: set[tuple[str, int]] = set()
    while place not in seen:  # a few verbs are hypernyms of each other
        yield place
        seen.add(place)
        if place not in parent:
            return
        place = parent[place]


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _synset(fields: list[str], gloss: str) -> Synset:
    num_words = int(fields[3], 16)
    start = 4 + 2 * num_words
    pointers = [
        fields[at : at + 3] for at in range(start + 1, start + 1 + 4 * int(fields[start]), 4)
    ]
    above = [int(offset) for kind, offset, _ in pointers if kind in ("@", "@i")]
    if not gloss:
        raise ValueError("it has no gloss")
    if int(fields[1]) >= len(LEXNAMES):
        raise ValueError(f"there is no lexicographer file {fields[1]}")
    return Synset(fields[2], int(fields[0]), int(fields[1]), above[0] if above else None, gloss)
