"""All answers of a report in one table, which is its table of contents as well."""

from collections.abc import Sequence
from typing import NamedTuple

from trivium.report.leaders import Answer
from trivium.report.sections import Section
from trivium.report.tables import fraction

QUESTION = "The answers at a glance"


NOTE = (
    "What leads on the test items, in percent: accuracy of the linear probe (of another where "
    "there is none) by share of labels, or recall@5 of retrieval. Filled: it wins against every "
    "other way of learning; ≈ cannot be told from it; grey: no better than a control. Each row "
    "leads to its section."
)


RECALL = "recall@5"


class Line(NamedTuple):
    """One section: its number on the page, and an answer for each column that it has."""

    number: int
    section: Section
    answers: tuple[Answer | None, ...]


class SummaryTable(NamedTuple):
    """Columns are shares of labels and, of retrieval, recall@5."""

    columns: tuple[str, ...]
    datasets: dict[str, tuple[Line, ...]]


def summary_table(sections: Sequence[Section]) -> SummaryTable | None:
    """The answers of all sections; None where there is a single one."""
    if len(sections) < 2:
        return None
    shares = {one.fraction for section in sections for one in section.answers if _is_share(section)}
    columns = [fraction(share) for share in sorted(shares)]
    if any(section.retrieval for section in sections):
        columns.append(RECALL)
    found: dict[str, tuple[Line, ...]] = {}
    for number, section in enumerate(sections, start=1):
        named = {_column(section, one): one for one in section.answers}
        line = Line(number, section, tuple(named.get(name) for name in columns))
        found[section.dataset] = (*found.get(section.dataset, ()), line)
    return SummaryTable(tuple(columns), found)


def _is_share(section: Section) -> bool:
    return section.retrieval is None


def _column(section: Section, answer: Answer) -> str:
    return fraction(answer.fraction) if _is_share(section) else RECALL
