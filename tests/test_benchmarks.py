"""Every benchmark runs, on very little."""

import pytest

from commands import ROOT

TEXT = ["data.sources=[{kind: folder, path: text}]", "data.passage=200"]
TEXT += ["data.spec.vocabulary=null", "data.spec.num_samples=null", "monitor.sentinels.action=warn"]
COMMANDS = {
    "nanogpt": ["--seeds", "0", "--steps", "2", "--set", *TEXT],
    "probes": ["--sizes", "60x8", "--C", "1"],
    "step": ["--grid", "tiny", "--steps", "2", "--turns", "1"],
    "views": ["--seconds", "0", "--batch", "8"],
}


def test_every_benchmark_is_seen():
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_runs(server, tmp_path, name):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "data.txt").write_text("Call me Ishmael. Some years ago.\n" * 400)
    done = server.run(tmp_path, f"../benchmarks/{name}.py", *COMMANDS[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout
