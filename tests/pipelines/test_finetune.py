"""Fine-tuning as a user types it: errors before any work, and a chain of runs in one MLflow run."""

import json

import numpy as np
import pytest
from hydra.errors import HydraException

from commands import SMALL, TEXTS
from trivium.encoders.checkpoint import save_encoder
from trivium.encoders.vit import ViT
from trivium.stages.entry import EXPECTED
from trivium.stages.finetune import main as finetune
from trivium.types import DataSpec
from yamls import composed

QUICK = ["budget.flops=2e8", "fractions=[0.5,1.0]", "optimizer.lr=[1e-3,4e-3]"]


def pretrained(server, place, name, *choices):
    folder = f"outputs/runs/{name}"
    short = ["budget=steps", "budget.steps=4", f"run_dir={folder}"]
    done = server.run(place, "pretrain.py", *choices, *short)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_results_go_beside_those_of_the_probe(server, place):
    from mlflow.tracking import MlflowClient

    folder = pretrained(server, place, "mae", *SMALL, "objective=self_supervised/mae", "seed=2")
    shared = [f"checkpoint={folder}", "data=synthetic", "task=colour"]
    for script, *more in (
        ("probe.py", "probe_dir=p", "probe.num_draws=2"),
        ("finetune.py", "finetune_dir=f", *QUICK),
        ("finetune.py", "finetune_dir=again", *QUICK),
    ):
        done = server.run(place, script, *shared, *more)
        assert done.returncode == 0, done.stderr
    first, again = ((place / name / "probe.json").read_bytes() for name in ("f", "again"))
    assert first == again
    linear, tuned = (json.loads((place / name / "probe.json").read_text()) for name in ("p", "f"))
    assert linear["checkpoint"] == tuned["checkpoint"]
    assert tuned["facts"] == linear["facts"] | {"finetuning": tuned["facts"]["finetuning"]}
    assert tuned["facts"]["finetuning"]["seed"] == 2
    assert 0 < tuned["facts"]["finetuning"]["flops"] <= 2e8
    labels = [np.load(place / name / "predictions.npz")["labels"] for name in ("p", "f")]
    assert np.array_equal(*labels)

    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    (found,) = client.search_runs(["1"], f"tags.checkpoint = '{tuned['checkpoint']}'")
    own = "probe/synthetic-colour"
    assert f"{own}/finetune/test_accuracy_50pct" in found.data.metrics
    assert f"{own}/linear/test_accuracy_1pct" in found.data.metrics
    paths = {item.path for item in client.list_artifacts(found.info.run_id, own)}
    assert {f"{own}/probe.json", f"{own}/finetune"} <= paths

    # Both are one row of a report that knows nothing but MLflow.
    done = server.run(place, "compare.py", f"runs='tags.checkpoint = \"{tuned['checkpoint']}\"'")
    assert done.returncode == 0, done.stderr
    cells = json.loads((place / "outputs/report/comparison.json").read_text())["cells"]
    assert {"linear", "finetune"} <= {cell["probe"] for cell in cells}


@pytest.mark.slow
def test_texts_in_a_sweep_over_layer_decay(server, place):
    folder = pretrained(
        server, place, "bert", *TEXTS[:4], *TEXTS[6:], "objective=self_supervised/bert"
    )
    done = server.run(
        place, "finetune.py", "-m", "launcher=basic", f"checkpoint={folder}",
        "data=synthetic_text", *QUICK, "budget.flops=1e9",
        "finetune_dir=texts/${layer_decay}", "layer_decay=0.5,1.0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for decay in (0.5, 1.0):
        document = json.loads((place / f"texts/{decay}/probe.json").read_text())
        assert document["facts"]["finetuning"]["layer_decay"] == decay


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What a fine-tuning by wrong choices says; nothing is written."""
    monkeypatch.chdir(tmp_path)
    data = DataSpec("synthetic", "image", (3, 32, 32), 5, 100, (0.5,) * 3, (0.5,) * 3)
    encoder = ViT(data, name="vit_test", patch=8, width=16, depth=1, num_heads=2)
    save_encoder(encoder, tmp_path / "untrained", {"modality": "image", "seed": 0})

    def refuse(*overrides):
        with pytest.raises((*EXPECTED, HydraException)) as error:
            finetune(composed("finetune", overrides))
        assert [path.name for path in tmp_path.iterdir()] == ["untrained"]
        return str(error.value)

    return refuse


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["checkpoint=raw"], ["raw"]),
        (["checkpoint=nowhere"], ["nowhere"]),
        (["checkpoint=x", "data=nowhere"], ["data/nowhere"]),
        (["checkpoint=x", "layer=0.5"], ["layer"]),
        (["checkpoint=untrained", "data=synthetic_audio"], ["ViT", "synthetic_audio"]),
        (["checkpoint=untrained", "data=synthetic_pairs"], ["synthetic_pairs", "part="]),
        (["checkpoint=untrained", "data=synthetic", "optimizer.lr=-1"], ["learning rate: -1"]),
        (["checkpoint=untrained", "data=synthetic", "task=smell"], ["synthetic", "smell"]),
    ],
)
def test_a_wrong_choice_is_told_before_anything_is_trained(refused, overrides, names):
    said = refused(*overrides)
    assert [name for name in names if name not in said] == []
