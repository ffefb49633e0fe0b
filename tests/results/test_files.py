"""What is written is read back to the last bit, whatever the order and the size."""

import json
import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.results import files
from trivium.results.files import COLUMNS, RECORDS, frame, read_csv, read_results, write_results

TABLES = (*COLUMNS, "records")


def same(first, second):
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), obj=name)
    assert (first.protocol, first.parts) == (second.protocol, second.parts)


def test_the_round_trip_is_exact(results, tmp_path):
    write_results(results, tmp_path)
    same(read_results(tmp_path), results)


def test_files_are_small_tables_of_their_own(written):
    names = {path.relative_to(written / "0.1").as_posix() for path in written.rglob("*.*")}
    names.discard(".")
    assert names == {
        "runs.csv", "cells.csv", "comparisons.csv", "environment.json",
        "records/dots.csv", "records/shapes.csv",
    }  # fmt: skip


def test_the_numbers_are_those_of_the_report(results, folder):
    document = json.loads((folder / "comparison.json").read_text())
    assert len(results.records) == len(document["records"])
    assert math.isclose(
        results.records["value"].sum(), sum(row["value"] for row in document["records"])
    )
    assert len(results.cells) == len(document["cells"])
    assert len(results.comparisons) == len(document["comparisons"])
    assert set(results.runs["budget"]) == {"none", "2e+12 flops"}


def test_a_large_table_is_parquet_and_reads_the_same(results, tmp_path, monkeypatch):
    write_results(results, tmp_path)
    monkeypatch.setattr(files, "LARGEST_CSV", 10_000)
    write_results(results, tmp_path)
    assert {path.suffix for path in (tmp_path / "records").iterdir()} == {".parquet"}
    same(read_results(tmp_path), results)


def test_a_file_with_other_columns_is_named(results, tmp_path):
    write_results(results, tmp_path)
    path = tmp_path / "cells.csv"
    path.write_text(path.read_text().replace("covers", "spans", 1))
    with pytest.raises(ValueError, match=r"cells\.csv has the columns"):
        read_results(tmp_path)


def test_what_was_never_published_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing was published as 7"):
        read_results(tmp_path / "7")


record = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(["a", "b,c", 'say "x"', "é"]) for name in RECORDS},
        "seed": st.integers(0, 9),
        "draw": st.integers(0, 4),
        "fraction": st.sampled_from([0.01, 0.1, 1.0]),
        "value": st.floats(allow_nan=False, allow_infinity=False),
    }
)


@given(st.lists(record, max_size=6), st.randoms())
@settings(max_examples=30, deadline=None)
def test_order_does_not_matter_and_every_float_survives(tmp_path_factory, rows, random):
    shuffled = random.sample(rows, len(rows))
    table = frame(rows, RECORDS)
    assert table.to_csv() == frame(shuffled, RECORDS).to_csv()
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    table.to_csv(path, index=False)
    again = read_csv(path)
    assert again["value"].tolist() == table["value"].tolist()
    assert again["objective"].tolist() == table["objective"].tolist()
