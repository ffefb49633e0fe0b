import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.tracking.journal import Journal

ENTRIES = st.lists(
    st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False), max_size=3)
)


@given(entries=ENTRIES)
def test_what_is_appended_is_read_back(entries, tmp_path_factory):
    journal = Journal(tmp_path_factory.mktemp("journal"))
    for entry in entries:
        journal.append(entry)
    assert [entry for entry, _ in journal.read()] == entries


def test_offsets_continue_where_delivery_stopped(tmp_path):
    journal = Journal(tmp_path)
    for number in range(3):
        journal.append({"number": number})
    offsets = [end for _, end in journal.read()]
    journal.update(delivered=offsets[0])
    assert not journal.complete
    later = Journal(tmp_path)
    assert [entry["number"] for entry, _ in later.read(later.delivered)] == [1, 2]
    later.update(delivered=offsets[2])
    assert later.complete


def test_a_torn_line_costs_only_itself(tmp_path):
    Journal(tmp_path).append({"number": 0})
    with (tmp_path / "tracking.jsonl").open("ab") as file:
        file.write(b'{"number": 1, "va')
    journal = Journal(tmp_path)
    journal.append({"number": 2})
    assert [entry["number"] for entry, _ in journal.read()] == [0, 2]


def test_a_damaged_state_sends_everything_again(tmp_path, caplog):
    journal = Journal(tmp_path)
    journal.append({"number": 0})
    journal.update(delivered=journal.path.stat().st_size)
    (tmp_path / "tracking.state.json").write_text("{")
    assert Journal(tmp_path).delivered == 0
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("written", [None, 5])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, caplog, written):
    journal = Journal(tmp_path)
    journal.append({"number": 0})
    real = os.write

    def full(file, data):
        if written is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:written])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        journal.append({"number": 1})
        journal.append({"number": 2})
    assert not journal.complete
    assert [entry["number"] for entry, _ in journal.read()] == [0]
    journal.append({"number": 3})
    assert [entry["number"] for entry, _ in journal.read()] == [0, 1, 2, 3]
    assert written or "kept in memory" in caplog.text
