"""What `dvc repro` repeats after an edit: what the edit touches, on small grids, for real."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("conf", "src", "pipelines", "dvc.yaml", "pyproject.toml", ".dvcignore")
GRID = """# @package _global_
defaults:
  - override /hydra/sweeper: grid
grid:
  name: {name}
  index: null
  seeds: [0, 1]
  overrides: [encoder.width=16, encoder.depth=1, encoder.num_heads=2, encoder.patch=8, budget=steps,
    budget.steps=4, trainer.batch_size=64, monitor.num_items=40, monitor.pictures=false,
    monitor.sentinels.action=warn]
  cells:
    synthetic:
      objectives: {objectives}
      finetuned: {finetuned}
"""
STAGE = re.compile(r"Running stage '([^']+)'")
EVERY = {"grid", "prepare", "pretrain", "probe", "finetune", "compare"}
KINDS = ("runs", "probes", "finetuned")


class Project:
    """A copy of the project with grids that take seconds."""

    def __init__(self, place: Path) -> None:
        self.place, self.grid = place, "small"
        for name in COPIED:
            source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__", "*.egg-info")
            if source.is_dir():
                shutil.copytree(source, place / name, ignore=ignored)
            else:
                shutil.copy(source, place / name)
        both = {"objectives": "[cross_entropy, autoencoder]", "finetuned": "[cross_entropy]"}
        one = {"objectives": "[autoencoder]", "finetuned": "[]"}
        for name, choices in (("small", both), ("other", one)):
            path = place / "conf" / "grid" / f"{name}.yaml"
            path.write_text(GRID.format(name=name, **choices))
        data, probe = "conf/data/synthetic.yaml", "conf/probe/default.yaml"
        self.edit(data, "num_train: 8000\nnum_test: 2000", "num_train: 400\nnum_test: 80")
        self.edit(data, "(?s)  num_samples.*", "  num_samples: null\n  mean: null\n  std: null\n")
        self.edit(probe, "num_draws: 5", "num_draws: 1")
        self.edit(probe, "C: .*", "C: [0.01]")
        self.edit(probe, "fractions: .*", "fractions: [0.2, 1.0]")
        self.edit("conf/finetune.yaml", r"flops: 5.0e\+10", "flops: 1e+8")
        subprocess.run(["git", "init", "-q"], cwd=place, check=True)
        self.dvc("init", "-q")

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.place / name
        text = path.read_text()
        changed = re.sub(old, new, text)
        assert changed != text, f"{name} has no {old}"
        path.write_text(changed)

    def dvc(self, *words: str) -> str:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.place / "src"),
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "true",
            "GRID": self.grid,
        }
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *words],
            cwd=self.place, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self) -> tuple[set[str], dict[str, list[str]]]:
        """Run it; the stages that ran, and the cells and seeds that were computed by them."""
        before = self.folders()
        ran = set(STAGE.findall(self.dvc("repro")))
        after = self.folders()
        new = {kind: sorted(name_of(one) for one in after[kind] - before[kind]) for kind in KINDS}
        return ran, {kind: names for kind, names in new.items() if names}

    def folders(self) -> dict[str, set[str]]:
        return {kind: {p.name for p in (self.place / "outputs" / kind).glob("*")} for kind in KINDS}


def name_of(folder: str) -> str:
    """METHOD-SEED of a run's, probe's or fine-tuning's folder; raw of the raw input's."""
    return "raw" if folder.startswith("raw") else "-".join(folder.split("-")[1:3])


AUTOENCODER = ["autoencoder-0", "autoencoder-1"]
CROSS_ENTROPY = ["cross_entropy-0", "cross_entropy-1"]
BOTH = AUTOENCODER + CROSS_ENTROPY


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_an_edit_repeats_what_it_touches(project):
    report = project.place / "outputs" / "report-small"
    everything = {"runs": BOTH, "probes": [*BOTH, "raw"], "finetuned": CROSS_ENTROPY}
    assert project.repro() == (EVERY, everything)
    assert (report / "index.html").is_file()
    shown = project.dvc("metrics", "show")
    assert re.search(r"linear accuracy 100%\s", shown)
    assert re.search(r"\d\.\d{2,}", shown)

    # Nothing changed: only the grid is read.
    assert project.repro() == ({"grid"}, {})

    # Code: a function of the probes that is called otherwise, and other words in a message.
    project.edit("src/trivium/evaluation/label_free.py", r"\b_try\b", "_attempt")
    project.edit("src/trivium/data/prepare.py", "is up to date", "was up to date")
    assert project.repro() == ({"grid"}, {})

    # One objective's yaml: its own cells. Its fine-tunings are looked at, since runs changed.
    yaml = "conf/objective/unsupervised/autoencoder.yaml"
    project.edit(yaml, r"decoder_width: \d+", "decoder_width: 48")
    again = {"runs": AUTOENCODER, "probes": AUTOENCODER}
    assert project.repro() == (EVERY - {"prepare"}, again)

    # The probe: no training.
    project.edit("conf/probe/default.yaml", "num_bins: 15", "num_bins: 10")
    assert project.repro() == ({"grid", "probe", "compare"}, {"probes": [*BOTH, "raw"]})

    # Fine-tuning: no probe.
    project.edit("conf/finetune.yaml", "layer_decay: 0.75", "layer_decay: 0.5")
    assert project.repro() == ({"grid", "finetune", "compare"}, {"finetuned": CROSS_ENTROPY})

    # A dropped seed: nothing is trained or probed, the report is another one; and back again.
    before = (report / "comparison.json").read_bytes()
    project.edit("conf/grid/small.yaml", r"seeds: \[0, 1\]", "seeds: [0]")
    ran, new = project.repro()
    assert "compare" in ran
    assert new == {}
    assert (report / "comparison.json").read_bytes() != before
    project.edit("conf/grid/small.yaml", r"seeds: \[0\]", "seeds: [0, 1]")
    assert project.repro()[1] == {}

    # Another grid, without fine-tuning: it finds its runs, and has a report of its own.
    project.grid = "other"
    ran, new = project.repro()
    assert "compare" in ran
    assert new == {}
    assert (project.place / "outputs" / "report-other" / "index.html").is_file()

    # A run that is gone is computed again, and it alone.
    index = json.loads((project.place / "outputs" / "index" / "pretrain.json").read_text())
    shutil.rmtree(project.place / index["synthetic-autoencoder-1"]["folder"])
    assert project.repro()[1] == {"runs": ["autoencoder-1"]}
