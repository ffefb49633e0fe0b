"""A new objective is one file and one yaml: everything else finds it by the yaml."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("conf", "docs", "pipelines", "src", "tests", "pyproject.toml")
CODE = '''"""Mean token: guess every token's target by one linear map of the pooled features."""

from typing import ClassVar, final

from torch import nn

from trivium.objectives.latent import reconstruction_error
from trivium.types import DataSpec, Encoder, Needs, Objective, Paradigm, Terms, Views


@final
class MeanToken(Objective):
    """The smallest objective there is; arXiv 0000.00001."""

    title: ClassVar[str] = "named in a test"
    paradigm: ClassVar[Paradigm] = "unsupervised"
    needs: ClassVar[Needs] = Needs(target=True)

    def __init__(self, encoder: Encoder, data: DataSpec, *, weight: float) -> None:
        super().__init__()
        self.encoder, self.weight = encoder, weight
        self.predict = nn.Linear(encoder.width, encoder.stem.num_tokens * encoder.stem.target_width)

    def forward(self, views: Views) -> Terms:
        (values, valid), stem = views.views[0], self.encoder.stem
        features = self.encoder(values, valid)
        guess = self.predict(features.pooled).float()
        guess = guess.unflatten(1, (stem.num_tokens, stem.target_width))
        guess = guess[:, : stem.length(values)]
        return {"loss": self.weight * reconstruction_error(stem, guess, values, features)}
'''
YAML = """# @package _global_
# The smallest objective there is.
objective:
  _target_: trivium.objectives.unsupervised.mean_token.MeanToken
  numerics: 1
  weight: 1.0
objective_views: plain
adamw:
  lr: 4.0e-3
search:
  adamw.lr: {low: 1.0e-3, high: 1.6e-2, log: true}
  objective.weight: {choices: [0.5, 1.0]}
"""
NEW = {
    "src/trivium/objectives/unsupervised/mean_token.py": CODE,
    "conf/objective/unsupervised/mean_token.yaml": YAML,
}
SMALL = [
    "data=synthetic",
    "data.num_train=200",
    "data.num_test=50",
    "data.spec={shape:[3,32,32],tasks:null,num_samples:null,mean:null,std:null}",
]
SHORT = ["encoder.patch=8", "budget=steps", "budget.steps=2", "trainer.batch_size=32"]
PROBE = ["probe.fractions=[1.0]", "probe.num_draws=1", "probe.C=[0.01]"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    place = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__", "*.egg-info")
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=ignored)
        else:
            shutil.copy(source, place / name)
    for name, content in NEW.items():
        (place / name).write_text(content)
    return place


def run(tree, *words):
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, *words], cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_contract_tests_find_it(tree):
    quiet = ["-q", "-p", "no:cacheprovider"]
    printed = run(tree, "-m", "pytest", "tests/contract", "-k", "mean_token", *quiet)
    assert int(printed.split(" passed")[0].split()[-1]) > 10


@pytest.mark.slow
def test_the_docs_find_it(tree):
    run(tree, "docs/objectives.py")
    row = "| `unsupervised/mean_token` | guess every token's target"
    assert row in (tree / "docs/objectives.md").read_text()


@pytest.mark.slow
def test_pretraining_probes_and_the_table_find_it(tree):
    run(tree, "pipelines/prepare.py", *SMALL)
    choice = ["objective=unsupervised/mean_token", "run_dir=outputs/runs/synthetic-mean_token-0"]
    run(tree, "pipelines/pretrain.py", *SMALL, *SHORT, *choice)
    for name, checkpoint in (("raw", "raw"), ("mean_token-0", choice[1].partition("=")[2])):
        place = [f"checkpoint={checkpoint}", f"probe_dir=outputs/probes/synthetic-{name}"]
        run(tree, "pipelines/probe.py", *SMALL, *PROBE, *place)
    run(tree, "pipelines/compare.py", "runs=''")
    assert "| unsupervised | mean token |" in (tree / "outputs/report/results.md").read_text()
    records = json.loads((tree / "outputs/report/comparison.json").read_text())["records"]
    assert {record["objective"] for record in records} == {"raw", "mean_token"}


@pytest.mark.slow
def test_a_grid_of_all_objectives_finds_it(tree):
    code = f"""
from hydra import initialize_config_dir
from trivium.compose import suitable
with initialize_config_dir({str(tree / "conf")!r}, version_base="1.3"):
    print(*suitable("fashion_mnist", None))
"""
    assert "mean_token" in run(tree, "-c", code).split()


def test_nothing_else_was_touched(tree):
    touched = [
        path.relative_to(tree).as_posix()
        for name in COPIED
        for path in sorted((tree / name).rglob("*") if (tree / name).is_dir() else [tree / name])
        if path.is_file()
        and path.suffix in {".py", ".yaml", ".toml"}
        and not (
            (ROOT / path.relative_to(tree)).is_file()
            and path.read_bytes() == (ROOT / path.relative_to(tree)).read_bytes()
        )
    ]
    assert sorted(touched) == sorted(NEW)
