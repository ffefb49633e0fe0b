"""The report in Markdown: `report.md` with everything, `results.md` for a README."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from trivium.report import confusion, crossover, joint, label_free, ranking, sensitivity
from trivium.report.cells import Cell
from trivium.report.confusion import Confusion
from trivium.report.crossover import Crossover
from trivium.report.label_free import LabelFree
from trivium.report.pairwise import Comparison, holm
from trivium.report.ranking import Ranking
from trivium.report.retrieval import Retrieval
from trivium.report.sections import Report, Section
from trivium.report.sensitivity import Sensitivity
from trivium.report.tables import (
    LEGEND,
    STUB,
    Row,
    fraction,
    grid,
    heading,
    label,
    markdown,
    percent,
    points,
    texts,
)

MORE = (
    "RankMe (2210.02885): the effective number of dimensions of the features at the end of "
    "pretraining, mean over seeds; 1 is collapse. Beats untrained: at which shares of labels the "
    "difference to the untrained encoder is significant, Holm-corrected over these comparisons at "
    "that share (the bold face is corrected over all pairs)."
)
UNTRAINED = "untrained"


def as_markdown(report: Report) -> str:
    """The content of `report.md`: the answer, the tables and the comparisons."""
    blocks = ["# Which way of learning is worth its price?"]
    if report.rankings:
        blocks += [f"## {ranking.QUESTION}", *rankings(report.rankings)]
    for section in report.sections:
        for found in section.together:
            blocks += [f"## {found.dataset}: {found.task}. {joint.QUESTION}"]
            blocks += [bullets(found.sentences), pairings(found)]
        blocks += [f"## {section.dataset}: {section.task} ({section.modality})", section.headline]
        # A section of controls alone has no answers, and an empty line in their place.
        blocks.append("\n".join(f"- {answer.sentence}" for answer in section.answers))
        for table in section.tables:
            blocks += [f"### {heading(table)}", grid(table)]
        if section.retrieval:
            blocks += ["### retrieval", *retrieval(section.retrieval)]
        for axis, found_along in section.overtaking.items():
            blocks += [f"### {crossover.QUESTIONS[axis].lower()}", *crossovers(found_along)]
        if section.confusion:
            blocks += [f"### {confusion.QUESTION.lower()}", *confused(section.confusion)]
        if section.diagnosis:
            blocks += [f"### {label_free.QUESTION.lower()}", *diagnostics(section.diagnosis)]
        if section.sensitivity:
            blocks += [f"### {sensitivity.QUESTION.lower()}", *probes(section.sensitivity)]
    blocks += [LEGEND, f"Protocol {report.protocol}, commit {report.commit}."]
    return "\n\n".join(blocks) + "\n"


def results(report: Report) -> str:
    """The content of `results.md`: the linear probe's accuracy and retrieval, for a README."""
    blocks: list[str] = []
    if report.rankings:
        blocks += [f"**{ranking.QUESTION}**", *rankings(report.rankings)]
    for section in report.sections:
        for found in section.together:
            blocks.append(f"**{found.dataset}** ({found.task}), {joint.QUESTION.lower()}")
            blocks.append(bullets(found.sentences))
        name = f"**{section.dataset}** ({section.title})"
        for table in section.tables:
            named = [probe for probe, _ in table.probes]
            if table.metric == "accuracy" and named and not table.withheld:
                probe = "linear" if "linear" in named else named[0]
                narrow = table.narrowed(probe)
                more = columns(section, probe, narrow.rows)
                rows = [
                    [*row, *(column[at] for column in more.values())]
                    for at, row in enumerate(texts(narrow))
                ]
                blocks.append(f"{name}, {probe} probe, test accuracy in %:")
                blocks.append(markdown([*STUB, *narrow.heads, *more], rows))
        if section.retrieval:
            blocks.append(f"{name}, retrieval, test recall in %:")
            blocks += retrieval(section.retrieval)
    return "\n\n".join([*blocks, f"{LEGEND} {MORE}"]) + "\n"


def bullets(sentences: Sequence[str]) -> str:
    """Sentences as a list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def rankings(found: Sequence[Ranking]) -> list[str]:
    """The sentences, and a table of the mean ranks."""
    names = [one.name for one in found[0].ranks]
    rows = []
    for one in found:
        means = {rank.name: f"{rank.mean:.2f}" for rank in one.ranks}
        cells = [means.get(name, "-") for name in names]
        rows.append([fraction(one.fraction), *cells, f"{one.critical:.2f}"])
    table = markdown(["labels", *names, "critical difference"], rows)
    return [bullets([one.sentence for one in found]), table, ranking.NOTE]


def pairings(found: joint.Together) -> str:
    """A table of encoders that learnt alone and with others."""
    heads = ("modality", "measured", "paradigm", "alone", "with others", "difference", "verdict")
    rows = [
        [
            one.modality,
            one.column,
            joint.paradigm(one),
            joint.named(one.alone),
            joint.named(one.tower),
            points(one.comparison),
            one.comparison.verdict,
        ]
        for one in found.pairings
    ]
    return markdown(heads, rows)


def retrieval(found: Retrieval) -> list[str]:
    """The tables, with what is to be said of them."""
    blocks = [grid(found), found.note]
    if found.strata:
        heads = [*STUB, *found.strata.heads]
        blocks.append(markdown(heads, [*texts(found.strata), found.strata.last]))
        if found.strata.sentences:
            blocks.append(bullets(found.strata.sentences))
    return blocks


def crossovers(found: Sequence[Crossover]) -> list[str]:
    """The sentences and the table of one axis."""
    axis = found[0].axis
    heads = (f"ahead with fewest {axis}", "ahead with most", "cross at", "95 % interval")
    table = markdown(heads, [(*one.ahead, one.places, one.intervals) for one in found])
    return [bullets([one.sentence for one in found]), table, crossover.NOTES[axis]]


def confused(found: Confusion) -> list[str]:
    """The most confused pairs."""
    heads = ["class", "taken for", "test items", *(f"{one.name} (%)" for one in found.objectives)]
    rows = [
        [pair.true, pair.taken, str(pair.num_items), *map(percent, pair.shares)]
        for pair in found.pairs
    ]
    probe = f"{label(found.probe)} probe with {fraction(found.fraction)} of the labels"
    return [f"{probe}: shares of a class's test items.", markdown(heads, rows)]


def diagnostics(found: LabelFree) -> list[str]:
    """The table, what it predicts, and the similarity of encoders."""
    blocks = [grid(found), label_free.NOTE]
    if found.foretold:
        blocks.append(bullets([one.sentence for one in found.foretold]))
    if found.activities:
        blocks.append(bullets([one.sentence for one in found.activities]))
    if found.likeness:
        names = found.likeness.names
        rows = [
            [name, *("-" if math.isnan(value) else f"{value:.2f}" for value in values)]
            for name, values in zip(names, found.likeness.values, strict=True)
        ]
        blocks += [markdown(["CKA", *names], rows), label_free.LIKENESS]
    return blocks


def probes(found: Sensitivity) -> list[str]:
    """The table of all probes and what it says."""
    blocks = [f"With {fraction(found.fraction)} of the labels.", grid(found), sensitivity.NOTE]
    if found.agreements:
        blocks.append(bullets([one.sentence for one in found.agreements]))
    return blocks


def columns(section: Section, probe: str, rows: Sequence[Row]) -> dict[str, list[str]]:
    """RankMe and the shares of labels with a victory over the untrained encoder, by their heads.

    Each row is compared with the untrained state of its own encoder, or with all where it has none.
    """
    found = {"RankMe": [_rank(section, row) for row in rows]}
    families: dict[float, list[Comparison]] = defaultdict(list)
    comparisons = [one for one in section.comparisons if one.first.probe == probe]
    # The sort leaves the untrained encoder on the right, if one is among the two.
    sides = [sorted((one.first, one.second), key=_is_untrained) for one in comparisons]
    encoders = {last.encoder for _, last in sides if _is_untrained(last)}
    for one, (other, last) in zip(comparisons, sides, strict=True):
        is_own = other.encoder == last.encoder or other.encoder not in encoders
        if _is_untrained(last) and is_own:
            families[last.fraction].append(one)
    if families:
        pairs = [one for family in families.values() for one in holm(family)]
        found["beats untrained at"] = [_victories(pairs, row) for row in rows]
    return found


def _rank(section: Section, row: Row) -> str:
    """Mean over the seeds of the last RankMe that was seen in pretraining."""
    ranks = [
        seen[-1]
        for run in section.runs
        if (run.facts.objective, run.facts.encoder) == (row.objective, row.encoder)
        and (seen := ((run.curves or {}).get("monitor") or {}).get("rankme"))
    ]
    return f"{fmean(ranks):.1f}" if ranks else "-"


def _victories(pairs: Sequence[Comparison], row: Row) -> str:
    """The shares of labels at which a row is significantly better than the untrained encoder."""
    if row.objective == UNTRAINED:
        return "-"
    wins: dict[float, list[bool]] = defaultdict(list)
    for one in pairs:
        sides = ((one.first, one.second, "better"), (one.second, one.first, "worse"))
        for own, other, wanted in sides:
            is_row = (own.objective, own.encoder) == (row.objective, row.encoder)
            if is_row and _is_untrained(other):
                wins[own.fraction].append(one.verdict == wanted)
    won = [fraction(share).removesuffix(" %") for share, each in wins.items() if all(each)]
    return f"{', '.join(won)} %" if won else "none"


def _is_untrained(cell: Cell) -> bool:
    return cell.objective == UNTRAINED
