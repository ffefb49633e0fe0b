"""The short table for a README: one probe's accuracy, the rank, and who beats the untrained."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from trivium.report import joint, ranking, retrieval
from trivium.report.cells import Cell
from trivium.report.pairwise import Comparison, holm
from trivium.report.sections import Report, Section
from trivium.report.tables import LEGEND, Column, Row, fraction, markdown, narrowed

MORE = (
    "RankMe (2210.02885): the effective number of dimensions of the features at the end of "
    "pretraining, mean over seeds; 1 is collapse. Beats untrained: at which shares of labels the "
    "difference to the untrained encoder is significant, Holm-corrected over these comparisons at "
    "that share (the bold face is corrected over all pairs)."
)
UNTRAINED = "untrained"


def results(report: Report) -> str:
    """The content of `results.md`: the linear probe's accuracy and retrieval, for a README."""
    lines: list[str] = []
    if report.rankings:
        lines += [f"**{ranking.QUESTION}**", "", ranking.markdown(report.rankings), ""]
    for section in report.sections:
        for found in section.together:
            lines += [f"**{found.dataset}** ({found.task}), {joint.QUESTION.lower()}", ""]
            lines += [*(f"- {sentence}" for sentence in found.sentences), ""]
        name = f"**{section.dataset}** ({section.title})"
        for table in section.tables:
            probes = [probe for probe, _ in table.probes]
            if table.metric == "accuracy" and probes and not table.withheld:
                probe = "linear" if "linear" in probes else probes[0]
                lines += [f"{name}, {probe} probe, test accuracy in %:", ""]
                lines += [markdown(narrowed(table, probe), columns(section, probe)), ""]
        if section.retrieval:
            lines += [f"{name}, retrieval, test recall in %:", ""]
            lines += [retrieval.markdown(section.retrieval), ""]
    return "\n".join([*lines, f"{LEGEND} {MORE}"]) + "\n"


def columns(section: Section, probe: str) -> tuple[Column, ...]:
    """RankMe and the shares of labels with a victory over the untrained encoder.

    Each row is set against the untrained state of its own encoder, or of all where it has none.
    """
    found = [Column("RankMe", lambda row: rank(section, row))]
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
        found.append(Column("beats untrained at", lambda row: victories(pairs, row)))
    return tuple(found)


def rank(section: Section, row: Row) -> str:
    """Mean over the seeds of the last RankMe that was seen in pretraining."""
    ranks = [
        seen[-1]
        for run in section.runs
        if (run.facts.objective, run.facts.encoder) == (row.objective, row.encoder)
        and (seen := ((run.curves or {}).get("monitor") or {}).get("rankme"))
    ]
    return f"{fmean(ranks):.1f}" if ranks else "-"


def victories(pairs: Sequence[Comparison], row: Row) -> str:
    """The shares of labels at which a row is significantly better than the untrained encoder."""
    if row.objective == UNTRAINED:
        return "-"
    wins: dict[float, list[bool]] = defaultdict(list)
    for one in pairs:
        for own, other, wanted in (
            (one.first, one.second, "better"),
            (one.second, one.first, "worse"),
        ):
            if (own.objective, own.encoder, other.objective) == (
                row.objective,
                row.encoder,
                UNTRAINED,
            ):
                wins[own.fraction].append(one.verdict == wanted)
    won = [fraction(share).removesuffix(" %") for share, each in wins.items() if all(each)]
    return f"{', '.join(won)} %" if won else "none"


def _is_untrained(cell: Cell) -> bool:
    return cell.objective == UNTRAINED
