"""Shapes and types of the whole library are checked while the tests run."""

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from jaxtyping import install_import_hook

hook = install_import_hook("trivium", "typechecking.check")

import hypothesis
import pytest
import torch

from commands import Server

hypothesis.settings.register_profile("any machine", deadline=None)  # time is no assertion
hypothesis.settings.load_profile("any machine")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Runs entry points as a user types them."""
    with Server(tmp_path_factory.mktemp("server")) as started:
        yield started
