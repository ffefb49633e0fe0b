"""The commands of the README as a user types them: help, errors, and one small chain."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import HydraException

from commands import ROOT, SMALL, TEXTS, environment_of
from trivium.stages.entry import EXPECTED
from trivium.stages.pretrain import main as pretrain
from yamls import composed

STAGES = ["prepare", "pretrain", "probe", "finetune", "compare", "tune", "grid", "prune"]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What a pretraining by wrong choices says."""
    monkeypatch.chdir(tmp_path)

    def refuse(*overrides):
        with pytest.raises((*EXPECTED, HydraException)) as error:
            pretrain(composed("pretrain", overrides))
        return str(error.value)

    return refuse


# Prints what each script says, and every module that they have imported by then.
HELP = """
import contextlib, io, json, runpy, sys
said = []
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    said.append(out.getvalue())
print(json.dumps([said, [*sys.modules]]))
"""


def test_help_helps_and_imports_nothing_heavy(tmp_path):
    scripts = [str(ROOT / "pipelines" / f"{script}.py") for script in STAGES]
    done = subprocess.run(
        [sys.executable, "-c", HELP, *scripts],
        cwd=tmp_path, env=environment_of(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said, imported = json.loads(done.stdout)
    assert "hydra" in imported
    heavy = {"torch", "pytorch_lightning", "mlflow", "datasets", "plotly", "pandas"}
    assert heavy.isdisjoint(imported)
    for script, text in zip(STAGES, said, strict=True):
        # These two have no choices.
        assert ("== Settings" in text) is (script not in ("grid", "prune")), script


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["objective.no_such_key=1"], "no_such_key"),
        (["objective_views=plain"], "error: simclr"),
    ],
)
def test_a_wrong_choice_is_one_sentence_and_exit_code_1(server, place, overrides, named):
    done = server.run(place, "pretrain.py", *overrides)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "outputs").exists()


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["data=nowhere"], ["data/nowhere"]),
        (["objective=self_supervised/mae", "encoder=resnet18"], ["mae", "ResNet"]),
        (["objective_views=plain"], ["simclr", "2 view", "objective_views"]),
        (["objective_views=blurry"], ["objective_views=blurry"]),
        (["budget.steps=5"], ["budget", "steps"]),
        (["optimizer=sgd", "optimizer.momentum=-1"], ["SGD", "momentum value: -1"]),
        (["data_fraction=1.5"], ["(0, 1]", "1.5"]),
        (["trainer.devices=2"], ["device"]),
        (
            ["objective=supervised/cross_entropy", "data.spec.tasks=null", "+data.spec.tasks={}"],
            ["labels", "fashion_mnist"],
        ),
        (["data=synthetic_text"], ["ViT", "synthetic_text", "text_nano"]),
        (
            ["data=synthetic_text", "encoder=text_nano", "encoder.causal=true",
             "objective=self_supervised/bert"],
            ["bert", "encoder.causal=false"],
        ),
        (
            ["data=synthetic_text", "encoder=text_nano", "encoder.causal=false",
             "objective=self_supervised/gpt"],
            ["gpt", "encoder.causal=true"],
        ),
        (
            ["data=synthetic_text", "encoder=text_nano", "objective=self_supervised/i_jepa"],
            ["i_jepa", "image", "audio"],
        ),
        (["data=synthetic_audio"], ["ViT", "synthetic_audio", "audio_nano"]),
        (["data=synthetic_audio", "encoder=wave_nano"], ["WaveTransformer", "waves"]),
        (
            ["data=synthetic_audio", "encoder=audio_nano", "objective=self_supervised/gpt"],
            ["gpt", "synthetic_audio"],
        ),
        (
            ["data=synthetic_audio", "encoder=audio_nano", "objective_views=two_wave"],
            ["waves", "SpectrogramTransformer"],
        ),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_told_before_anything_is_written(refused, tmp_path, overrides, names):
    said = refused(*overrides)
    assert [name for name in names if name not in said] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_prepare_pretrain_probe_and_sweep(server, place):
    command = ["pretrain.py", *SMALL, "objective=supervised/cross_entropy"]
    done = server.run(place, *command, "budget=steps", "budget.steps=12", "run_dir=outputs/runs/a")
    assert done.returncode == 0, done.stderr
    folder = place / "outputs" / "runs" / "a"
    for name in ("encoder.safetensors", "encoder.yaml", "config.yaml", "metrics.json"):
        assert (folder / name).is_file()
    again = server.run(place, *command, "budget=steps", "budget.steps=12", "run_dir=outputs/runs/a")
    assert "holds this run already" in again.stdout

    probe = ["checkpoint=outputs/runs/a", "data=synthetic", "probe.num_draws=2", "probe_dir=p"]
    done = server.run(place, "probe.py", *probe)
    assert done.returncode == 0, done.stderr
    records = json.loads((place / "p" / "probe.json").read_text())["records"]
    assert {record["fraction"] for record in records} == {0.01, 0.1, 1.0}

    done = server.run(
        place, "pretrain.py", "-m", "launcher=basic", *SMALL, "budget=steps", "budget.steps=4",
        "objective.temperature=0.1,0.5", "seed=0,1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "objective.temperature" in done.stdout
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name == "trivium"]
    parents = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    parents = [parent for parent in parents if parent.info.run_name.startswith("sweep")]
    assert len(parents) == 1
    children = client.search_runs(
        [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parents[0].info.run_id}'"
    )
    assert len(children) == 4
    assert all("validation/selection_accuracy" in child.data.metrics for child in children)
    shares = ("1pct", "10pct", "100pct")
    (probed,) = client.search_runs(
        [experiment.experiment_id], "metrics.`probe/linear/test_accuracy_1pct` > 0"
    )
    assert "train/loss" in probed.data.metrics
    for name in (f"probe/linear/{s}_accuracy_{n}" for s in ("test", "validation") for n in shares):
        points = client.get_metric_history(probed.info.run_id, name)
        assert [point.step for point in points] == [12]  # the encoder's last


@pytest.mark.slow
def test_texts_go_the_same_way(server, place):
    gpt = ["objective=self_supervised/gpt", "run_dir=outputs/runs/gpt"]
    done = server.run(place, "pretrain.py", *TEXTS, *gpt)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((place / "outputs/runs/gpt/metrics.json").read_text())
    assert metrics["language"]["perplexity"] > 1
    for checkpoint in ("outputs/runs/gpt", "raw"):
        target = f"probe_dir=texts/{Path(checkpoint).name}"
        choices = ["data=synthetic_text", f"checkpoint={checkpoint}", "probe.num_draws=2", target]
        done = server.run(place, "probe.py", *choices)
        assert done.returncode == 0, done.stderr
    records = json.loads((place / "texts/raw/probe.json").read_text())["records"]
    best = [r["value"] for r in records if r["fraction"] == 1.0 and r["metric"] == "accuracy"]
    assert max(best) == 1.0  # the words of the raw input tell the topic

    other = ["data=synthetic_text", "data.tokenizer.vocabulary=330", "data.spec.vocabulary=330"]
    done = server.run(place, "probe.py", *other, "checkpoint=outputs/runs/gpt", "stores=others")
    assert done.returncode == 1
    assert "tokenizer" in done.stderr
    assert "Traceback" not in done.stderr


SOUNDS = [
    "data=synthetic_audio",
    "data.num_train=400",
    "data.num_test=100",
    "data.spec={shape: [1, 48, 32], tasks: null, num_samples: null, mean: null, std: null}",
]
SHORT = [
    "encoder.width=16",
    "encoder.depth=1",
    "budget=steps",
    "budget.steps=6",
    "trainer.batch_size=32",
    "monitor.num_items=40",
    "monitor.sentinels.action=warn",
]


@pytest.mark.slow
def test_sounds_go_the_same_way_as_spectrograms_and_as_waves(server, place):
    assert server.run(place, "prepare.py", *SOUNDS).returncode == 0
    for method, encoder, views in (
        ("hubert", "audio_nano", "plain"),
        ("wav2vec2", "wave_nano", "wave"),
    ):
        objective = [f"objective=self_supervised/{method}", f"encoder={encoder}"]
        folder = f"outputs/runs/{method}"
        done = server.run(
            place, "pretrain.py", *SOUNDS, *SHORT, *objective, f"objective_views={views}",
            f"run_dir={folder}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        terms = json.loads((place / folder / "curves.json").read_text())["terms"]
        assert {"hubert": "accuracy", "wav2vec2": "code_perplexity"}[method] in terms
        assert list((place / folder / "pictures").glob("input-step*.mp3"))
        assert list((place / folder / "pictures").glob("rows-step*.png"))
    assert terms["perplexity"][0] > 2
    for checkpoint in ("outputs/runs/hubert", "outputs/runs/wav2vec2", "raw"):
        target = f"probe_dir=sounds/{Path(checkpoint).name}"
        choices = [f"checkpoint={checkpoint}", "probe.num_draws=2", target]
        done = server.run(place, "probe.py", *SOUNDS, *choices)
        assert done.returncode == 0, done.stderr
    raw = json.loads((place / "sounds/raw/probe.json").read_text())
    assert raw["facts"]["encoder"] == "mel_statistics"
    accuracy = [r["value"] for r in raw["records"] if r["metric"] == "accuracy"]
    assert max(accuracy) > 0.5  # five timbres


@pytest.mark.slow
def test_tuning_tries_the_present_settings_first_and_goes_on_where_it_was(server, place):
    from mlflow.tracking import MlflowClient

    budget = ["tune.datasets=[synthetic]", "tune.flops=3e9", "objective=self_supervised/simclr"]
    done = server.run(place, "tune.py", *SMALL[1:], *budget, "tune.num_trials=2")
    assert done.returncode == 0, done.stderr
    table = place / "outputs" / "sweeps" / "simclr.md"
    header, _, *rows = table.read_text().splitlines()
    assert header == (
        "| trial | adamw.lr | objective.temperature | objective_views | synthetic | mean |"
    )
    assert sorted(row.split("|")[1].strip() for row in rows) == ["0", "1"]
    first = next(row for row in rows if row.startswith("| 0 |"))
    values = composed("pretrain", ["objective=self_supervised/simclr"])
    lr, temperature, views = (part.strip() for part in first.split("|")[2:5])
    assert float(lr) == values["adamw"]["lr"]
    assert float(temperature) == values["objective"]["temperature"]
    assert views == values["objective_views"]

    done = server.run(place, "tune.py", *SMALL[1:], *budget, "tune.num_trials=3")
    assert done.returncode == 0, done.stderr
    assert len(table.read_text().splitlines()) == 5
    client = MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name == "trivium"]
    everything = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    parents = [parent for parent in everything if parent.info.run_name == "tune simclr"]
    children = [
        child
        for parent in parents
        for child in client.search_runs(
            [experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
        )
    ]
    assert len(children) == 3
    assert all("validation/selection_accuracy" in child.data.metrics for child in children)
