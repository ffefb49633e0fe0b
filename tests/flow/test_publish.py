"""A small grid published and verified by the entry points, as a user types them."""

import json

import pytest

GRID = [
    "grid=tiny", "~grid.cells.synthetic_text", "grid.seeds=[0]",
    "grid.cells.synthetic.objectives=[simclr]",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_published_is_made_again_bit_by_bit(server, tmp_path):
    for stage in ("prepare", "pretrain", "probe"):
        done = server.run(tmp_path, f"{stage}.py", "-m", *GRID, "launcher=basic")
        assert done.returncode == 0, done.stderr
    for script in (["compare.py", *GRID], ["publish.py", *GRID, "version=1.0"]):
        done = server.run(tmp_path, *script)
        assert done.returncode == 0, done.stderr
    folder = tmp_path / "docs" / "results" / "1.0"
    assert "tiny/synthetic" in json.loads((folder / "environment.json").read_text())["parts"]

    before = set((tmp_path / "outputs").rglob("*"))
    done = server.run(tmp_path, "verify.py", "version=1.0", "cells=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal: ") == 2
    assert "2 of 2 runs are as published in 1.0" in done.stdout
    assert set((tmp_path / "outputs").rglob("*")) == before

    runs = folder / "runs.csv"
    runs.write_text(
        runs.read_text().replace('""pretrain.objective"": 1', '""pretrain.objective"": 0')
    )
    records = folder / "records" / "synthetic.csv"
    lines = records.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if ",raw,raw," in line and ",accuracy," in line)
    lines[at] = lines[at].rpartition(",")[0] + ",0.123"
    records.write_text("\n".join(lines) + "\n")
    done = server.run(tmp_path, "verify.py", "version=1.0", "cells=2")
    assert done.returncode == 1
    assert "changed since 1.0: synthetic-simclr-0" in done.stdout
    assert "0.123 is now" in done.stdout
    assert "not as published in 1.0: synthetic-raw-0" in done.stderr
