import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import trivium.training.datamodule
from trivium.encoders.checkpoint import load_encoder, read_facts
from trivium.features import embed
from trivium.objectives.control.pca import PCA
from trivium.objectives.control.untrained import Untrained
from trivium.objectives.self_supervised.mae import MAE
from trivium.objectives.self_supervised.simclr import SimCLR
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.objectives.unsupervised.deepcluster_v2 import DeepClusterV2
from trivium.objectives.unsupervised.vae import VAE
from trivium.tracking.run import find_run
from trivium.training.budget import Budget
from trivium.training.datamodule import StoreData
from trivium.training.fitting import train_values
from trivium.training.run import pretrain
from trivium.training.settings import MonitorSettings

PLAIN = {"label_smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0}
BUSY = MonitorSettings(
    num_items=40,
    num_glances=5,
    pictures=True,
    sentinels={"patience": 0.5, "tolerance": 1e-4, "lowest_rank": 1.0, "action": "warn"},
)

KINDS = [
    (CrossEntropy, "mild", PLAIN),
    (SimCLR, "contrastive", {"temperature": 0.2, "hidden_width": 16, "projection_width": 8}),
    (
        VAE,
        "plain",
        {
            "latent_width": 8,
            "decoder_width": 16,
            "decoder_depth": 1,
            "beta": 1.0,
            "warmup": 0.5,
            "free_bits": 0.0,
        },
    ),
    (
        MAE,
        "mild",
        {
            "ratio": 0.75,
            "normalise": True,
            "decoder_width": 16,
            "decoder_depth": 1,
            "decoder_num_heads": 2,
        },
    ),
]


def weights(folder):
    return hashlib.sha256((folder.path / "encoder.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(("kind", "views", "settings"), KINDS, ids=[k[0].__name__ for k in KINDS])
def test_one_seed_gives_the_same_bits_twice(
    kind, views, settings, store, make_run, make_folder, tracked
):
    folders = [make_folder("first"), make_folder("second"), make_folder("other")]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        run = make_run(kind, views=views, seed=seed, **settings)
        accuracy = pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
        assert 0 <= accuracy <= 1
    first, second, other = map(weights, folders)
    assert first == second
    assert first != other


def test_the_folder_holds_what_was_promised(store, make_run, make_folder, tracked):
    folder = make_folder()
    run = make_run(CrossEntropy, views="mild", **PLAIN)
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    metrics = json.loads((folder.path / "metrics.json").read_text())
    curves = json.loads((folder.path / "curves.json").read_text())
    cost = json.loads((folder.path / "cost.json").read_text())
    assert metrics["num_steps"] == 6
    assert metrics["flops"] == 6 * metrics["flops_per_step"] > 0
    assert metrics["samples"] == 6 * 32
    assert metrics["items"] == len(store.split("train"))
    assert curves["step"] == [1, 2, 3, 4, 5, 6]
    assert curves["flops"][-1] == metrics["flops"]
    assert len(curves["terms"]["loss"]) == 6
    assert curves["monitor"]["step"] == [0, 6]
    assert "seconds" not in metrics
    assert cost["seconds"] > 0
    assert 0 <= cost["data_wait_share"] <= 1
    facts = read_facts(folder.path)
    assert facts["flops"] == metrics["flops"]
    assert folder.finished
    assert not folder.checkpoint.exists()
    assert load_encoder(folder.path)(torch.rand(2, 3, 32, 32)).pooled.shape == (2, 16)
    assert find_run({"dataset": "synthetic", "objective": "crossentropy"})


def test_the_untrained_control_costs_nothing_and_is_the_initial_encoder(
    store, make_run, make_folder, tracked
):
    folder = make_folder()
    run = make_run(Untrained)
    before = {name: value.clone() for name, value in run.objective.encoder.state_dict().items()}
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    after = load_encoder(folder.path).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert read_facts(folder.path)["flops"] == 0


def test_a_budget_in_seconds_ends(store, make_run, make_folder, tracked):
    folder = make_folder()
    run = make_run(CrossEntropy, **PLAIN, budget=Budget(seconds=0.2))
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    assert json.loads((folder.path / "metrics.json").read_text())["num_steps"] >= 1


def test_a_batch_larger_than_the_data_is_refused(store, make_run, make_folder, tracked):
    run = make_run(CrossEntropy, **PLAIN, trainer={"batch_size": 1000})
    with pytest.raises(ValueError, match=r"lower trainer\.batch_size"):
        pretrain(run, store, make_folder(), name="t", experiment="trivium", interval=2.0)


def test_a_share_of_the_data_is_all_that_is_learnt_from(
    store, make_run, make_folder, tracked, monkeypatch
):
    seen = []
    gather = trivium.training.datamodule.gather
    monkeypatch.setattr(
        "trivium.training.datamodule.gather",
        lambda store, indices, *rest: seen.extend(indices) or gather(store, indices, *rest),
    )
    folder = make_folder()
    run = make_run(CrossEntropy, **PLAIN, budget=Budget(steps=9))
    run = replace(run, data_fraction=0.25)
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    share = store.share("train", 0.25, 0, "shape")
    assert set(seen) <= set(share)
    assert json.loads((folder.path / "metrics.json").read_text())["items"] == len(share)
    assert read_facts(folder.path)["items"] == len(share) < len(store.split("train")) / 3


@pytest.mark.parametrize(("kind", "views", "settings"), KINDS, ids=[k[0].__name__ for k in KINDS])
def test_the_held_out_loss_is_that_of_validation_and_leaves_the_training_alone(
    kind, views, settings, store, make_run, make_folder, tracked
):
    folders = [make_folder("quiet"), make_folder("asked")]
    for folder, num in zip(folders, (0, 99), strict=True):
        run = make_run(kind, views=views, trainer={"batch_size": 8}, **settings)
        run = replace(run, monitor=replace(run.monitor, num_held_out=num))
        pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    assert weights(folders[0]) == weights(folders[1])
    metrics = [json.loads((folder.path / "metrics.json").read_text()) for folder in folders]
    assert "held_out" not in metrics[0]
    assert math.isfinite(metrics[1]["held_out"])


def test_the_held_out_loss_of_a_classifier_is_its_mean_cross_entropy(
    store, make_run, make_folder, tracked
):
    run = make_run(CrossEntropy, **PLAIN, trainer={"batch_size": 8})
    run = replace(run, monitor=replace(run.monitor, num_held_out=99))
    folder = make_folder()
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    data = StoreData(store, batch_size=8, seed=0, task="shape", split="validation")
    assert set(data.items) == set(store.split("validation"))
    objective, losses = run.objective.eval(), []
    with torch.no_grad():
        for step in range(len(data.items) // 8):
            batch = data.batch(step)
            logits = objective.classifier(objective.encoder(batch.inputs["image"] / 255).pooled)
            losses.append(torch.nn.functional.cross_entropy(logits, batch.labels).item())
    found = json.loads((folder.path / "metrics.json").read_text())["held_out"]
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_control_is_fitted_on_the_same_share(store):
    data = StoreData(store, batch_size=32, seed=3, task="shape", data_fraction=0.25)
    values, valid = train_values(data)
    np.testing.assert_array_equal(values, store.column("image")[data.items])
    assert valid is None


def test_a_share_smaller_than_a_batch_is_refused(store):
    with pytest.raises(ValueError, match=r"or raise data_fraction=0\.05"):
        StoreData(store, batch_size=32, seed=0, task="shape", data_fraction=0.05)


def test_monitors_leave_the_training_alone(store, make_run, make_folder, tracked):
    folders = [make_folder("quiet"), make_folder("watched")]
    for folder, monitor in zip(folders, (None, BUSY), strict=True):
        kind, views, settings = KINDS[-1]
        run = make_run(kind, views=views, monitor=monitor, **settings)
        pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    assert weights(folders[0]) == weights(folders[1])
    for name in ("rows", "embedding", "neighbours"):
        assert len(list((folders[1].path / "pictures").glob(f"{name}-*.png"))) == 5


def test_an_objective_with_groups_of_its_own_is_drawn_as_a_sheet_of_clusters(
    store, make_run, make_folder, tracked
):
    folder = make_folder()
    run = make_run(
        DeepClusterV2,
        views="contrastive",
        monitor=BUSY,
        num_clusters=2,
        temperature=0.1,
        memory=64,
        every=2,
        num_iterations=3,
        hidden_width=16,
        projection_width=8,
    )
    pretrain(run, store, folder, name="t", experiment="trivium", interval=2.0)
    with Image.open(folder.path / "pictures" / "clusters-step000006.png") as last:
        assert last.width == 2 * 12 * (32 + 2)  # twice the size, twelve members, their frames


def test_a_fitted_control_exports_what_it_fitted_and_its_price(
    store, make_run, make_folder, tracked
):
    folder = make_folder()
    pretrain(make_run(PCA, width=5), store, folder, name="t", experiment="trivium", interval=2.0)
    facts = read_facts(folder.path)
    assert facts["flops"] > 0
    assert facts["samples"] == 0
    images = store.column("image")[store.split("train")]
    values = images.reshape(len(images), -1) / 255
    expected = np.linalg.svd(values - values.mean(0), full_matrices=False)[1][:5]
    features = embed(load_encoder(folder.path), store, store.split("train"))
    np.testing.assert_allclose(np.linalg.norm(features, axis=0), expected, rtol=1e-3)
