"""Tiny stores, and a cache of each test's own."""

from pathlib import Path

import numpy as np
import pytest

from trivium.data.store import Store
from trivium.data.writer import Origin, Parsed, write_store

ORIGIN = Origin("npm tiny@1.0.0", "1.0.0", "0" * 64, "CC0-1.0", "digest")


def tiny_parsed(num_train: int = 60, num_test: int = 20, labelled: bool = True) -> Parsed:
    rng = np.random.default_rng(0)
    num = num_train + num_test
    images = rng.integers(0, 256, (num, 2, 4, 5), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(num)
    labels = {"kind": np.arange(num) % 3, "parity": np.arange(num) % 2} if labelled else {}
    tasks = {"kind": ("a", "b", "c"), "parity": ("even", "odd")} if labelled else {}
    return Parsed(
        {"image": images}, labels, tasks, np.arange(num_train), np.arange(num_train, num), ("note",)
    )


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRIVIUM_CACHE", str(folder))
    return folder


@pytest.fixture
def store(tmp_path) -> Store:
    return write_store(tmp_path / "tiny", "tiny", tiny_parsed(), ORIGIN)
