import numpy as np
import pytest

from trivium.data.errors import DataError
from trivium.data.writer import write_store
from trivium.io import new_folder

from .conftest import ORIGIN, tiny_parsed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": np.arange(59, 80)}, "overlap"),
        ({"test": np.arange(60, 81)}, "leave the 80 samples"),
        ({"test": np.arange(0)}, "too few"),
        ({"labels": {}}, "do not match tasks"),
        ({"labels": {"kind": np.full(80, 3), "parity": np.zeros(80, int)}}, "class ids in"),
        ({"groups": np.arange(80) % 65}, "15 groups are in train and in test"),
        ({"groups": np.arange(79)}, "groups must be 80 int64 ids"),
        ({"wholes": (np.arange(80) >= 60).astype(np.int64)}, "wholes must be made of whole groups"),
        (
            {"groups": np.arange(80) // 2, "wholes": np.arange(80) % 65},
            "15 groups are in train and in test",
        ),
        (
            {
                "groups": np.arange(80) // 2,
                "wholes": np.where(np.arange(80) < 60, np.arange(80) // 3, 90),
            },
            "wholes must be made of whole groups",
        ),
        ({"groups": np.arange(80.0)}, "groups must be 80 int64 ids, got float64"),
        ({"labels": {"kind": np.zeros(79, int), "parity": np.zeros(80, int)}}, "got 79"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        write_store(tmp_path / "tiny", "tiny", tiny_parsed()._replace(**change), ORIGIN)
    assert not any(tmp_path.iterdir())


def test_replacing_is_all_or_nothing(tmp_path):
    with new_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    with pytest.raises(IsADirectoryError), new_folder(tmp_path / "out") as temporary:
        temporary.write_text("2")
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
