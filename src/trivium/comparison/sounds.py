"""Clips of the runs on audio as data URIs, within a size that keeps the page quick."""

import base64
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from trivium.comparison.runs import Picture, Run

BUDGET = 1_500_000
"""Bytes of sounds that a page may carry over all sections (a third more as base64)."""
ORDER = ("input", "masked", "corrupted", "filled", "reconstruction", "sample")
"""Rows that are played first, in this order; then come all others by name."""
NEIGHBOURS = "neighbours"
"""What is played last: clips of the data, each before those that the encoder finds most alike."""


class Clip(NamedTuple):
    """A row of clips at one step, as a data URI."""

    step: int
    uri: str


class Track(NamedTuple):
    """One row of an objective: at the first step, unless it is the same there, and at the last."""

    name: str
    clips: tuple[Clip, ...]


class Playlist(NamedTuple):
    """What can be heard of one run."""

    run: Run
    tracks: tuple[Track, ...]


def playlists(runs: Sequence[Run], *, budget: int) -> tuple[Playlist, ...]:
    """One playlist per objective and encoder, of the first run that has any sounds.

    All last steps come first, the first track of every objective before any second; then the
    first steps, until `budget` bytes are used; what does not fit is left out.
    """
    shown: dict[tuple[str, str], Run] = {}
    for run in sorted(runs, key=lambda run: run.facts.seed):
        if run.sounds:
            shown.setdefault((run.facts.objective, run.facts.encoder), run)
    tracks = [_tracks(run) for run in shown.values()]
    clips: dict[tuple[int, int], list[Clip]] = {}
    for priority, rank, index, sound in sorted(
        (priority, rank, index, sound)
        for index, named in enumerate(tracks)
        for rank, steps in enumerate(named)
        for priority, sound in enumerate(_ends(steps))
    ):
        content = sound.path.read_bytes()
        is_reached = priority == 0 or (index, rank) in clips
        if is_reached and len(content) <= budget:
            budget -= len(content)
            clips.setdefault((index, rank), []).append(Clip(sound.step, _uri(content)))
    heard = [
        tuple(
            Track(steps[0].name, tuple(sorted(clips[index, rank])))
            for rank, steps in enumerate(named)
            if (index, rank) in clips
        )
        for index, named in enumerate(tracks)
    ]
    return tuple(Playlist(*pair) for pair in zip(shown.values(), heard, strict=True) if pair[1])


def _tracks(run: Run) -> list[list[Picture]]:
    """The sounds of a run by name, in the order in which they are to be heard."""
    named = [list(group) for _, group in groupby(run.sounds, key=lambda sound: sound.name)]
    return sorted(named, key=lambda steps: _place(steps[0].name))


def _place(name: str) -> tuple[int, str]:
    if name == NEIGHBOURS:
        return len(ORDER) + 1, name
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def _ends(steps: list[Picture]) -> list[Picture]:
    """The last step, then the first where it sounds different."""
    first, last = steps[0], steps[-1]
    same = first is last or first.path.read_bytes() == last.path.read_bytes()
    return [last] if same else [last, first]


def _uri(content: bytes) -> str:
    return "data:audio/mpeg;base64," + base64.b64encode(content).decode()
