import pytest
import torch

from trivium.encoders.vit import ViT
from trivium.types import DataSpec, View, Views


@pytest.fixture
def data():
    return DataSpec("tiny", "image", (1, 8, 8), 3, 100, (0.4,), (0.25,))


@pytest.fixture
def encoder(data):
    return ViT(data, name="vit_test", patch=2, width=16, depth=1, num_heads=2)


@pytest.fixture
def one_view():
    return Views((View(torch.rand(6, 1, 8, 8)),))


@pytest.fixture
def two_views():
    labels = torch.tensor([0, 1, 2, 0, 1, 1])
    return Views((View(torch.rand(6, 1, 8, 8)), View(torch.rand(6, 1, 8, 8))), labels)
