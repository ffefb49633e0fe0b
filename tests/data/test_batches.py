import numpy as np
import pytest
import torch

from trivium.data.batches import gather
from trivium.data.errors import DataError
from trivium.data.writer import write_store

from .conftest import ORIGIN, tiny_parsed


def test_a_batch_holds_the_asked_samples_in_the_asked_order(store):
    indices = np.array([7, 3, 70, 3])
    batch = gather(store, indices)
    assert batch.inputs["image"].dtype == torch.uint8
    assert batch.inputs["image"].shape == (4, 2, 4, 5)
    assert batch.inputs["image"][:, 0, 0, 0].tolist() == batch.indices.tolist() == [7, 3, 70, 3]
    assert batch.labels.tolist() == [1, 0, 1, 0]
    assert gather(store, indices, "parity").labels.tolist() == [1, 1, 0, 1]
    assert gather(store, indices, None).labels is None
    assert batch.valid == {}


def test_a_batch_is_a_copy(store):
    batch = gather(store, np.array([5]))
    batch.inputs["image"].zero_()
    batch.labels.zero_()
    assert store.column("image")[5, 0, 0, 0] == 5
    assert store.labels()[5] == 2


def test_labels_of_an_unlabelled_store_are_refused(tmp_path):
    bare = write_store(tmp_path / "bare", "bare", tiny_parsed(labelled=False), ORIGIN)
    assert gather(bare, np.array([1]), None).labels is None
    with pytest.raises(DataError, match="no labels"):
        gather(bare, np.array([1]))
