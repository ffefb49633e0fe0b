import numpy as np
import pytest

from trivium.data.prepare import prepare
from trivium.data.store import Labelled

DATA = {
    "name": "synthetic",
    "modality": "image",
    "licence": "CC0-1.0",
    "parser": "trivium.data.datasets.synthetic",
    "num_train": 100,
    "num_test": 20,
    "seed": 0,
    "visible": ["shape", "colour", "size", "position", "count"],
    "spec": {"shape": [3, 8, 8]},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return prepare(DATA, tmp_path_factory.mktemp("stores") / "synthetic")


def test_what_may_be_learnt_from_is_the_train_split_and_the_rest_is_as_it_was(store):
    items, _ = store.fraction(0.2, 0, "shape")
    labelled = Labelled(store, items)
    assert np.array_equal(labelled.split("train"), items)
    assert np.array_equal(labelled.share("train", 1.0, 0, "shape"), items)
    for name in ("validation", "test"):
        assert np.array_equal(labelled.split(name), store.split(name))
    assert np.array_equal(labelled.labels("shape"), store.labels("shape"))
    assert labelled.spec("shape") == store.spec("shape")
