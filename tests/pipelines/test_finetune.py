"""Fine-tuning as a user types it: errors before any work, and a chain of runs in one MLflow run."""

import json

import numpy as np
import pytest
from hydra.errors import HydraException

from commands import SMALL, TEXTS, run
from trivium.stages.entry import EXPECTED
from trivium.stages.finetune import main as finetune
from yamls import composed

QUICK = ["budget.flops=2e8", "fractions=[0.5,1.0]", "optimizer.lr=[1e-3,4e-3]"]


def pretrained(place, name, *choices):
    folder = f"outputs/runs/{name}"
    short = ["budget=steps", "budget.steps=4", f"run_dir={folder}"]
    done = run(place, "pretrain.py", *choices, *short)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_results_go_beside_those_of_the_probe(place):
    from mlflow.tracking import MlflowClient

    folder = pretrained(place, "mae", *SMALL, "objective=self_supervised/mae", "seed=2")
    shared = [f"checkpoint={folder}", "data=synthetic", "task=colour"]
    for script, *more in (
        ("probe.py", "probe_dir=p", "probe.num_draws=2"),
        ("finetune.py", "finetune_dir=f", *QUICK),
        ("finetune.py", "finetune_dir=again", *QUICK),
    ):
        done = run(place, script, *shared, *more)
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
    done = run(place, "compare.py", f"runs='tags.checkpoint = \"{tuned['checkpoint']}\"'")
    assert done.returncode == 0, done.stderr
    cells = json.loads((place / "outputs/report/comparison.json").read_text())["cells"]
    assert {"linear", "finetune"} <= {cell["probe"] for cell in cells}


@pytest.mark.slow
def test_texts_in_a_sweep_over_layer_decay(place):
    folder = pretrained(place, "bert", *TEXTS[:4], *TEXTS[6:], "objective=self_supervised/bert")
    done = run(
        place, "finetune.py", "-m", f"checkpoint={folder}", "data=synthetic_text", *QUICK,
        "budget.flops=1e9", "finetune_dir=texts/${layer_decay}", "layer_decay=0.5,1.0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for decay in (0.5, 1.0):
        document = json.loads((place / f"texts/{decay}/probe.json").read_text())
        assert document["facts"]["finetuning"]["layer_decay"] == decay


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["checkpoint=raw"], "without weights to fine-tune"),
        (["checkpoint=nowhere"], "there is no run folder nowhere"),
        (["checkpoint=x", "data=nowhere"], "Could not find 'data/nowhere'"),
        (["checkpoint=x", "layer=0.5"], "Could not override 'layer'"),
    ],
)
def test_a_wrong_choice_is_told(tmp_path, monkeypatch, overrides, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((*EXPECTED, HydraException)) as error:
        finetune(composed("finetune", overrides))
    assert words in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def encoder(place):
    """An untrained encoder of pictures."""
    return pretrained(place, "untrained", *SMALL, "objective=control/untrained")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data=synthetic_audio"], "ViT encodes image, but the dataset synthetic_audio is audio"),
        (["data=synthetic_pairs"], "fine-tuning is of one modality so far"),
        (["data=synthetic", "optimizer.lr=-1"], "Invalid learning rate: -1"),
        (["data=synthetic", "task=smell"], "synthetic has no task 'smell'"),
    ],
)
def test_what_does_not_fit_the_encoder_is_refused_before_it_is_trained(
    place,
    encoder,
    overrides,
    words,
):
    done = run(place, "finetune.py", f"checkpoint={encoder}", *overrides)
    assert done.returncode == 1
    assert words in done.stderr
    assert "samples/s" not in done.stdout
