"""What `dvc repro` repeats after an edit: what the edit touches, on a tiny grid, for real."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GRID = """
folder: outputs
datasets: [synthetic]
seeds: [0, 1]
cells:
  - synthetic-cross_entropy
  - synthetic-autoencoder
finetuned: [synthetic-cross_entropy]
overrides:
  synthetic: [encoder.width=16, encoder.depth=1, encoder.num_heads=2, encoder.patch=8, budget=steps,
    budget.steps=4, trainer.batch_size=64, monitor.num_items=40, monitor.pictures=false,
    monitor.sentinels.action=warn]
"""
LADDER = """
base: default
folder: outputs/scaling
datasets: [synthetic]
seeds: [0]
ways: [synthetic-autoencoder]
rungs:
  half: [data_fraction=0.5]
  all: []
cells:
  - to-be-filled_in
"""
STAGE = re.compile(r"Running stage '([^']+)'")


class Project:
    """A copy of the project with a grid that takes seconds."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("conf", "src", "pipelines", "dvc.yaml", "pyproject.toml", ".dvcignore"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, place / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
                )
            else:
                shutil.copy(source, place / name)
        self.edit("conf/pipeline/default.yaml", ".*", GRID, whole=True)
        self.edit("conf/probe/default.yaml", "num_draws: 5", "num_draws: 2")
        self.edit("conf/finetune.yaml", r"flops: 5.0e\+10", "flops: 1e+8")
        self.edit(
            "conf/data/synthetic.yaml",
            "num_train: 8000\nnum_test: 2000",
            "num_train: 400\nnum_test: 80",
        )
        self.edit(
            "conf/data/synthetic.yaml",
            "(?s)  num_samples.*",
            "  num_samples: null\n  mean: null\n  std: null\n",
        )
        self.edit("conf/probe/default.yaml", "C: .*", "C: [0.001]")
        self.edit("conf/probe/default.yaml", "fractions: .*", "fractions: [0.2, 1.0]")
        subprocess.run(["git", "init", "-q"], cwd=place, check=True)
        self.dvc("init", "-q")

    def edit(self, name: str, old: str, new: str, *, whole: bool = False) -> None:
        path = self.place / name
        text = path.read_text()
        changed = new if whole else re.sub(old, new, text, count=1)
        assert changed != text
        path.write_text(changed)

    def dvc(self, *words: str) -> str:
        return self.run("-m", "dvc", *words)

    def run(self, *words: str) -> str:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.place / "src"),
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "true",
        }
        for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.place,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self) -> set[str]:
        """Run it; the stages that ran."""
        return set(STAGE.findall(self.dvc("repro"))) - {"resolve"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project"))


CELLS = ("synthetic-cross_entropy", "synthetic-autoencoder")
TUNED = {f"finetune@synthetic-cross_entropy-{seed}" for seed in (0, 1)}
RUNS = [f"{cell}-{seed}" for cell in CELLS for seed in (0, 1)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_edit_repeats_what_it_touches(project):
    everything = {"prepare@synthetic", "bind", "control@synthetic", "compare"}
    everything |= {f"{stage}@{run}" for stage in ("pretrain", "probe") for run in RUNS}
    everything |= TUNED
    # The first time with two cells at once, as `make repro` does it.
    ran = set(STAGE.findall(printed := project.run("pipelines/repro.py", "2")))
    for names in re.findall(r"== \d+/\d+ (.+) done", printed):
        ran |= set(names.split(" and "))
    assert ran - {"resolve"} == everything
    assert (project.place / "outputs/report/index.html").is_file()

    # Nothing changed: nothing runs, not even after a comment.
    assert project.repro() == set()
    project.edit("src/trivium/objectives/unsupervised/autoencoder.py", "\\A", "# A remark.\n")
    assert project.repro() == set()

    # One objective's yaml: its own cells.
    yaml = "conf/objective/unsupervised/autoencoder.yaml"
    project.edit(yaml, r"decoder_width: \d+", "decoder_width: 48")
    own = {
        f"{stage}@synthetic-autoencoder-{seed}"
        for stage in ("pretrain", "probe")
        for seed in (0, 1)
    }
    assert project.repro() == {*own, "compare"}

    # The probe: no training.
    project.edit("conf/probe/default.yaml", "num_bins: 15", "num_bins: 10")
    assert project.repro() == {*(f"probe@{run}" for run in RUNS), "control@synthetic", "compare"}

    # Fine-tuning: no probe.
    project.edit("conf/finetune.yaml", "layer_decay: 0.75", "layer_decay: 0.5")
    assert project.repro() == {*TUNED, "compare"}

    # A dropped seed: only the comparison; and back again.
    project.edit("conf/pipeline/default.yaml", r"seeds: \[0, 1\]", "seeds: [0]")
    assert project.repro() == {"compare"}
    project.edit("conf/pipeline/default.yaml", r"seeds: \[0\]", "seeds: [0, 1]")
    assert project.repro() <= {"compare"}  # DVC may bring the earlier report back from its cache

    # A fresh clone has the lock and no outputs: all cells are seen, and DVC's cache has them.
    shutil.rmtree(project.place / "outputs")
    printed = project.run("pipelines/repro.py", "2")
    assert f"== {len(RUNS) + 1} chains to do, 2 at a time" in printed
    assert (project.place / "outputs/report/index.html").is_file()

    # The code of one objective: its own cells.
    project.edit("src/trivium/objectives/unsupervised/autoencoder.py", "\\Z", "\nREVISION = 2\n")
    project.dvc("repro", "resolve")
    would_run = set(STAGE.findall(project.dvc("repro", "--dry")))
    assert {name for name in would_run if name.startswith("pretrain")} == {
        "pretrain@synthetic-autoencoder-0",
        "pretrain@synthetic-autoencoder-1",
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_ladder_is_climbed_and_nothing_else(tmp_path):
    project = Project(tmp_path)
    project.edit("conf/pipeline/scaling.yaml", ".*", LADDER, whole=True)
    printed = project.run("pipelines/repro.py", "scaling", "2")
    assert "== 2 chains to do, 2 at a time" in printed
    assert (tmp_path / "outputs/scaling/report/index.html").is_file()
    runs = sorted(path.name for path in (tmp_path / "outputs/scaling/runs").iterdir())
    assert runs == ["synthetic-autoencoder-all-0", "synthetic-autoencoder-half-0"]
    assert not (tmp_path / "outputs/runs").exists()  # the default grid was left alone
    assert STAGE.findall(project.dvc("repro", "pipelines/scaling/dvc.yaml")) == []
