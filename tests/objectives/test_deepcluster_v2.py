"""DeepCluster-v2's loss against a transcription of Eq. 2, and when what is clustered.

No library at hand has the loss; the transcription loops over samples and clusters (to 1e-5).
"""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from trivium.objectives.codebook import nearest, spherical_kmeans
from trivium.objectives.unsupervised.deepcluster_v2 import DeepClusterV2, cluster_loss
from trivium.types import View, Views

SETTINGS = {
    "num_clusters": 4,
    "temperature": 0.1,
    "memory": 16,
    "every": 10,
    "num_iterations": 3,
    "hidden_width": 16,
    "projection_width": 8,
}


@pytest.fixture
def objective(encoder, data):
    return DeepClusterV2(encoder, data, **SETTINGS)


def directions(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def test_loss_equals_the_formula():
    projections, centroids, targets = directions(6, 8), directions(4, 8), torch.tensor([0, 3] * 3)
    expected = 0.0
    for z, y in zip(projections.tolist(), targets.tolist(), strict=True):
        cosines = [sum(a * b for a, b in zip(z, c, strict=True)) for c in centroids.tolist()]
        total = sum(math.exp(cosine / 0.1) for cosine in cosines)
        expected -= math.log(math.exp(cosines[y] / 0.1) / total) / 6
    loss = cluster_loss(projections, targets, centroids, 0.1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_each_view_is_told_the_other_s_cluster(objective, two_views):
    with torch.no_grad():
        objective.projector[-1].weight.add_(torch.randn(8, 16))
    first, second = (objective.project(view) for view in two_views.views)
    old = [nearest(objective.frozen(view), objective.centroids) for view in two_views.views]
    assert not torch.equal(old[0], nearest(first, objective.centroids))
    scores = [z @ objective.centroids.T / 0.1 for z in (first, second)]
    expected = (F.cross_entropy(scores[0], old[1]) + F.cross_entropy(scores[1], old[0])) / 2
    terms = objective(two_views)
    torch.testing.assert_close(terms["loss"], expected)
    hits = torch.cat([scores[0].argmax(1) == old[1], scores[1].argmax(1) == old[0]])
    assert terms["accuracy"] == hits.float().mean()
    share = torch.cat(old).bincount(minlength=4) / 12
    torch.testing.assert_close(terms["clusters"], torch.special.entr(share).sum().exp())


def test_features_equally_far_from_all_centroids_sit_on_the_plateau(objective):
    middle = F.normalize(torch.ones(5, 4), dim=1)
    loss = cluster_loss(middle, torch.arange(5) % 4, torch.eye(4), 0.1)
    assert loss.item() == pytest.approx(objective.plateau(5), rel=1e-6)


def test_the_memory_is_a_ring_of_the_latest_projections(objective, two_views):
    rows = directions(6 * 4, 8)
    for part in rows[:18].split(6):
        objective.store(part)
    assert torch.equal(objective.bank, torch.cat([rows[16:18], rows[2:16]]))
    large = directions(21, 8)
    objective.store(large)
    assert set(map(tuple, objective.bank.tolist())) == set(map(tuple, large[5:].tolist()))
    first, second = (objective.project(view) for view in two_views.views)
    objective.num_stored.zero_()
    objective(two_views)
    expected = F.normalize(first + second, dim=1)
    torch.testing.assert_close(objective.bank[:6], expected.detach())


def test_evaluation_stores_nothing(objective, two_views):
    objective.eval()(two_views)
    assert objective.num_stored == 0
    assert not objective.bank.any()


def test_clusters_and_labels_change_only_when_the_memory_is_clustered(objective, two_views):
    view, changed = two_views.views[0], []
    objective.after_step(0.0)  # step 1: nothing is stored yet
    for step in range(2, 21):
        objective(two_views)
        with torch.no_grad():
            objective.projector[-1].weight.add_(0.1 * torch.randn(8, 16))
        before, labels = objective.centroids.clone(), objective.frozen(view)
        expected = spherical_kmeans(objective.bank[: int(objective.num_stored)], before, 3)
        objective.after_step(step / 20)
        if not torch.equal(objective.frozen(view), labels):
            changed.append(step)
            assert torch.equal(objective.centroids, expected)
            assert torch.equal(objective.frozen(view), objective.project(view).detach())
        else:
            assert torch.equal(objective.centroids, before)
    assert changed == [2, 4, 8, 10, 20]


def test_it_finds_groups_of_samples_that_share_a_pattern(encoder, data):
    objective = DeepClusterV2(encoder, data, **SETTINGS | {"memory": 64})
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    patterns = torch.rand(4, 1, 8, 8).repeat(8, 1, 1, 1)

    def view():
        return View((patterns + 0.05 * torch.randn(32, 1, 8, 8)).clamp(0, 1))

    for step in range(60):
        optimizer.zero_grad()
        objective(Views((view(), view())))["loss"].backward()
        optimizer.step()
        objective.after_step(step / 60)
    assigned = objective.eval().assign(view()).view(8, 4)
    assert (assigned == assigned[0]).all()
    assert len(set(assigned[0].tolist())) == 4


def test_a_resumed_run_repeats_the_uninterrupted_one(encoder, data, two_views):
    first = DeepClusterV2(encoder, data, **SETTINGS)
    for step in range(5):
        first(two_views)
        first.after_step(step / 20)
    second = DeepClusterV2(copy.deepcopy(encoder), data, **SETTINGS)
    second.load_state_dict(first.state_dict())
    for step in range(5, 12):
        assert torch.equal(first(two_views)["loss"], second(two_views)["loss"])
        first.after_step(step / 20)
        second.after_step(step / 20)
    assert torch.equal(first.centroids, second.centroids)


def test_a_memory_too_small_for_the_clusters_is_refused(encoder, data):
    with pytest.raises(ValueError, match="memory holds 3 projections for num_clusters 4"):
        DeepClusterV2(encoder, data, **SETTINGS | {"memory": 3})
