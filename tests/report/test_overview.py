"""The table of all answers: one row of each section, in its column."""

import pytest

from trivium.report.overview import RECALL, summary_table
from trivium.report.sections import assemble

from .fabricated_pairs import fabricate_pairs


@pytest.fixture(scope="module")
def sections(tmp_path_factory):
    return assemble(fabricate_pairs(tmp_path_factory.mktemp("glance")), commit="abc").sections


def test_every_answer_stands_once_in_its_column(sections):
    found = summary_table(sections)
    assert found.columns == ("1 %", "100 %", RECALL)
    lines = [line for mine in found.datasets.values() for line in mine]
    assert [line.number for line in lines] == list(range(1, len(sections) + 1))
    for line in lines:
        assert line.section is sections[line.number - 1]
        shown = [one for one in line.answers if one]
        assert tuple(shown) == line.section.answers
        assert bool(line.section.retrieval) == bool(line.answers[-1])


def test_a_single_section_has_its_answers_as_well(sections):
    found = summary_table(sections[:1])
    assert found.columns == ("1 %", "100 %")
    (line,) = found.datasets[sections[0].dataset]
    assert line.answers == sections[0].answers
