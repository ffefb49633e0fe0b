"""Which stages run side by side, and what is fine-tuned among them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path("pipelines").resolve()))

from _compose import compared, composed, read_grid
from repro import chains
from resolve import own_finetuned
from trivium.config import prune


def test_fine_tuning_goes_behind_its_pretraining_or_alone():
    names = ["pretrain@e-mae-0", "probe@e-mae-0", "pretrain@e-vae-1", "finetune@e-mae-2", "compare"]
    assert chains(names, ["e-mae"]) == [
        ("finetune@e-mae-2",),
        ("pretrain@e-mae-0", "probe@e-mae-0", "finetune@e-mae-0"),
        ("pretrain@e-vae-1", "probe@e-vae-1"),
    ]
    added = ["pipelines/all/dvc.yaml:pretrain@e-byol-0"]
    assert chains(added, ["e-mae"]) == [(added[0], "pipelines/all/dvc.yaml:probe@e-byol-0")]


def test_what_is_fine_tuned_must_be_trained_in_that_grid():
    default = read_grid("default")
    assert set(own_finetuned(default)) <= set(default["cells"])
    assert own_finetuned(read_grid("all")) == []
    assert compared(read_grid("all"))["finetuned"] == default["finetuned"]
    with pytest.raises(ValueError, match="emoji-mae of `finetuned` would have to stand in `cells`"):
        own_finetuned({"cells": ["emoji-vae"], "finetuned": ["emoji-vae", "emoji-mae"]})


@pytest.mark.parametrize("dataset", ["fashion_mnist", "wordnet", "notes"])
def test_fine_tuning_composes_for_every_modality(dataset):
    values = prune(composed("finetune", [f"data={dataset}", "checkpoint=x"]))
    assert len(values["optimizer"]["lr"]) == 3
    assert [*values["views"]] == [values["data"]["modality"]]
    assert values["budget"] == {"flops": 5e10, "samples": None, "steps": None, "seconds": None}
    assert values["objective"]["_target_"].endswith("CrossEntropy")
    other = composed("finetune", [f"data={dataset}", "checkpoint=x", "optimizer=sgd"])
    assert "betas" not in other["optimizer"]
