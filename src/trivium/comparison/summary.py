"""The short table for a README: one probe's accuracy, the rank, and who beats the untrained."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from trivium.comparison.content import Report, Section
from trivium.comparison.pairwise import Comparison, holm
from trivium.comparison.tables import LEGEND, Column, Row, fraction, markdown, narrowed

MORE = (
    "RankMe (2210.02885): the effective number of dimensions of the features at the end of "
    "pretraining, mean over seeds; 1 is collapse. Beats untrained: at which shares of labels the "
    "difference to the untrained encoder is significant, Holm-corrected over these comparisons at "
    "that share (the bold face is corrected over all pairs)."
)
UNTRAINED = "untrained"


def results(report: Report) -> str:
    """The content of `results.md`: test accuracy of the linear probe, for a README."""
    lines: list[str] = []
    for section in report.sections:
        for table in section.tables:
            probes = [name for name, _ in table.probes]
            if table.metric == "accuracy" and probes:
                probe = "linear" if "linear" in probes else probes[0]
                title = f"**{table.dataset}** ({table.task}), {probe} probe, test accuracy in %:"
                lines += [title, "", markdown(narrowed(table, probe), columns(section, probe)), ""]
    return "\n".join([*lines, f"{LEGEND} {MORE}"]) + "\n"


def columns(section: Section, probe: str) -> tuple[Column, ...]:
    """RankMe and the shares of labels with a victory over the untrained encoder."""
    found = [Column("RankMe", lambda row: rank(section, row))]
    families: dict[float, list[Comparison]] = defaultdict(list)
    for one in section.comparisons:
        if one.first.probe == probe and UNTRAINED in (one.first.objective, one.second.objective):
            families[one.first.fraction].append(one)
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
    won = [
        fraction(one.first.fraction).removesuffix(" %")
        for one in pairs
        for own, other, wanted in (
            (one.first, one.second, "better"),
            (one.second, one.first, "worse"),
        )
        if (own.objective, own.encoder, other.objective) == (row.objective, row.encoder, UNTRAINED)
        and one.verdict == wanted
    ]
    return f"{', '.join(won)} %" if won else "none"
