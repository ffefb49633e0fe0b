import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trivium.data.batches import gather
from trivium.objectives.self_supervised.simclr import SimCLR
from trivium.objectives.supervised.cross_entropy import CrossEntropy
from trivium.training.module import TrainingModule, step_seed

PLAIN = {"label_smoothing": 0.0, "mixup": 0.0, "cutmix": 0.0}

CONTRASTIVE = {"temperature": 0.2, "hidden_width": 16, "projection_width": 8}


def build(run):
    return TrainingModule(
        run.objective,
        views=run.views,
        optimiser=run.optimiser,
        schedule=run.schedule,
        weight_decay=0.0,
        num_steps=10,
        seed=3,
    )


def test_labels_reach_supervised_objectives_alone(store, make_run):
    batch = gather(store, np.arange(8), "shape")
    supervised = build(make_run(CrossEntropy, **PLAIN))
    assert torch.equal(supervised.make_views(batch, 0).labels, batch.labels)
    other = build(make_run(SimCLR, views="contrastive", **CONTRASTIVE))
    views = other.make_views(batch, 0)
    assert views.labels is None
    assert len(views.views) == 2


def test_views_are_a_pure_function_of_seed_and_step(store, make_run):
    batch = gather(store, np.arange(8), "shape")
    module = build(make_run(SimCLR, views="contrastive", **CONTRASTIVE))
    first, again, later = (module.make_views(batch, step).views[0].values for step in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


@given(st.integers(0, 2**31), st.integers(0, 10**7), st.integers(0, 64))
def test_step_seeds_fit_torch_and_differ_by_rank(seed, step, rank):
    assert 0 <= step_seed(seed, step, rank) < 2**63
    assert step_seed(seed, step, rank) != step_seed(seed, step, rank + 1)
