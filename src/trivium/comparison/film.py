"""How models learn: three runs of the report, look by look, for its opening."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from trivium.comparison.cells import Scores
from trivium.comparison.palette import CLASSES
from trivium.comparison.pictures import cropped
from trivium.comparison.runs import Picture, Run
from trivium.comparison.tables import WITHOUT, label

QUESTION = "How do models learn?"
TITLES = {
    "supervised": "From labels: fewer and fewer are confused",
    "unsupervised": "From the data itself: what it draws gets sharp",
    "self_supervised": "From targets of its own making: what is alike falls into groups",
}
TEXTS = {
    "supervised": (
        "The first cook follows labelled recipes. Each row is a true class, each column what a "
        "small classifier on top of the encoder takes it for; learning thins all out but the "
        "diagonal."
    ),
    "unsupervised": (
        "The second reads shelves of cookbooks and writes down from memory what was on the page. "
        "Above what was given, below what the encoder could keep of it."
    ),
    "self_supervised": (
        "The third cooks, tastes and corrects itself. Each point is a sample it has never seen a "
        "label of, laid out by its features; the colours are classes that only we know."
    ),
}
NUM_COLUMNS, OF_COLUMNS = 5, 12
"""How many of a sheet's columns a panel shows."""
NUM_TEXTS = 3


class Panel(NamedTuple):
    """One run, step by step: `kind` is `confusion`, `map`, `pictures` or `texts`.

    `frames` hold, of each step: a matrix of shares; x and y of each point; the URI of a picture;
    or rows of texts. `captions` say of each step what it shows.
    """

    paradigm: str
    kind: str
    run: Run
    captions: tuple[str, ...]
    frames: tuple[Any, ...]
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What the panel is of."""
        facts = self.run.facts
        return f"{label(facts.objective)} on {facts.dataset}, seed {facts.seed}"

    @property
    def colours(self) -> tuple[str, ...]:
        """A colour for each class."""
        return tuple(CLASSES[index % len(CLASSES)] for index in range(len(self.classes)))

    def document(self) -> dict[str, Any]:
        """What the page's script reads."""
        return {
            "kind": self.kind,
            "captions": self.captions,
            "frames": () if self.kind == "texts" else self.frames,
            "labels": self.labels,
            "colours": self.colours,
        }


def film(runs: Sequence[Run], scores: Sequence[Scores]) -> tuple[Panel, ...]:
    """A panel of each paradigm that has a run to show, pictures first.

    Of each, the dataset of images (else the first of all) where it can be shown, there the
    objective with the best validation accuracy of the linear probe at the most labels, and its
    first seed: chosen by rule, not for its looks.
    """
    makers = {"supervised": _confusion, "unsupervised": _drawn, "self_supervised": _map}
    found = []
    for paradigm, make in makers.items():
        mine = [run for run in runs if run.facts.paradigm == paradigm]
        ranked = sorted(mine, key=lambda run: _rank(run, scores))
        panel = next((made for run in ranked if (made := make(run))), None)
        if panel:
            found.append(panel)
    return tuple(found)


def _rank(run: Run, scores: Sequence[Scores]) -> tuple[object, ...]:
    facts = run.facts
    held_out = [
        (one.cell.fraction, one.interval.mean)
        for one in scores
        if (one.cell.split, one.cell.metric, one.cell.probe) == ("validation", "accuracy", "linear")
        and one.cell.place == (facts.dataset, facts.task, facts.modality)
        and (one.cell.objective, one.cell.encoder) == (facts.objective, facts.encoder)
        and WITHOUT not in one.cell.probe
    ]
    accuracy = max(held_out, default=(0.0, 0.0))[1]
    return facts.modality != "image", "+" in facts.modality, facts.dataset, -accuracy, facts.seed


def _confusion(run: Run) -> Panel | None:
    looks = run.film
    if not looks or not looks.get("confusion") or looks["confusion"][-1] is None:
        return None
    frames, captions = [], []
    for step, counts in zip(looks["step"], looks["confusion"], strict=True):
        shares = [[round(value / max(sum(row), 1), 3) for value in row] for row in counts]
        right = sum(row[index] for index, row in enumerate(counts))
        total = max(sum(map(sum, counts)), 1)
        frames.append(shares)
        captions.append(f"step {step}: {100 * right / total:.0f} % right")
    return Panel("supervised", "confusion", run, tuple(captions), tuple(frames), _classes(run))


def _map(run: Run) -> Panel | None:
    looks = run.film
    if not looks or not looks.get("x") or len(looks["step"]) < 2:
        return None
    frames = [[x, y] for x, y in zip(looks["x"], looks["y"], strict=True)]
    captions = tuple(f"step {step}" for step in looks["step"])
    labels = tuple(int(value) for value in looks["label"])
    return Panel("self_supervised", "map", run, captions, tuple(frames), _classes(run), labels)


def _drawn(run: Run) -> Panel | None:
    pictures = _named(run.pictures)
    if len(pictures) > 1:
        share = NUM_COLUMNS / OF_COLUMNS if run.facts.modality == "image" else 1.0
        uris = tuple(cropped(one, share) for one in pictures)
        captions = tuple(f"step {one.step}" for one in pictures)
        return Panel("unsupervised", "pictures", run, captions, uris)
    texts = _named(run.texts)
    if len(texts) > 1:
        captions = tuple(f"step {one.step}" for one in texts)
        return Panel("unsupervised", "texts", run, captions, tuple(_rows(one) for one in texts))
    return None


def _named(shown: Sequence[Picture]) -> list[Picture]:
    """The sheets of the objective's own rows, or of the first modality that has some."""
    names = sorted({one.name for one in shown if one.name.split("_")[0] == "rows"})
    return [one for one in shown if names and one.name == names[0]]


def _rows(text: Picture) -> tuple[tuple[str, str], ...]:
    rows: dict[str, list[str]] = json.loads(text.path.read_text(encoding="utf-8"))
    samples = list(zip(*rows.values(), strict=True))[:NUM_TEXTS]
    return tuple(pair for sample in samples for pair in zip(rows, sample, strict=True))


def _classes(run: Run) -> tuple[str, ...]:
    return tuple(str(name) for name in (run.film or {}).get("classes", ()))
