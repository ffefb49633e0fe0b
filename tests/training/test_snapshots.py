"""Snapshots: aligned maps, counts of confusion, and that nothing of them is lost."""

import json

import numpy as np
import pytest

from trivium.training.callbacks.online_probe import aligned, unit
from trivium.training.run import pretrain

from .test_run import BUSY, KINDS


def test_a_turned_and_mirrored_map_lies_on_the_next_one():
    last = unit(np.random.default_rng(0).normal(size=(40, 2)) * [3, 1])
    angle = 2.1
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    first = last @ turn * [1, -1]
    found = aligned([first, first[:, ::-1], last])
    for points in found:
        np.testing.assert_allclose(points, last, atol=1e-12)


def test_turning_keeps_all_distances():
    maps = [np.random.default_rng(seed).normal(size=(20, 2)) for seed in range(3)]
    for before, after in zip(maps, aligned(maps), strict=True):
        np.testing.assert_allclose(
            np.linalg.norm(before[:, None] - before, axis=-1),
            np.linalg.norm(after[:, None] - after, axis=-1),
        )


def test_maps_have_one_size():
    points = unit(np.random.default_rng(0).normal(size=(50, 2)) * 1e6 + 3)
    assert np.mean((points**2).sum(1)) == pytest.approx(1)
    assert not unit(np.ones((5, 2))).any()


def test_a_run_leaves_its_snapshots(store, make_run, make_folder, tracked):
    folder = make_folder()
    kind, views, settings = KINDS[0]
    pretrain(
        make_run(kind, views=views, monitor=BUSY, **settings),
        store,
        folder,
        name="t",
        experiment="trivium",
        interval=2.0,
    )
    snapshots = json.loads((folder.path / "looks.json").read_text())
    monitor = json.loads((folder.path / "curves.json").read_text())["monitor"]
    assert snapshots["step"] == monitor["step"]
    assert snapshots["flops"] == sorted(snapshots["flops"])
    assert snapshots["flops"][0] == 0
    num_items = len(snapshots["label"])
    assert all(len(x) == num_items for x in (*snapshots["x"], *snapshots["y"]))
    for confusion, accuracy in zip(snapshots["confusion"], monitor["accuracy"], strict=True):
        counts = np.array(confusion)
        assert np.trace(counts) / counts.sum() == pytest.approx(accuracy)
        assert counts.sum(1).tolist() == np.array(snapshots["confusion"][0]).sum(1).tolist()
