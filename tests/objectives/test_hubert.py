"""HuBERT against torchaudio 2.11 (`LogitGenerator`) and scikit-learn's k-means; its two iterations.

Tolerances are those of torch.testing.assert_close for float32, unless said.
"""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.cluster import MiniBatchKMeans
from torch.nn import functional as F
from torchaudio.models.wav2vec2.components import LogitGenerator

from clips import CLIPS, LONGER, alone, mels, perturbed, spectrogram, wave, waves
from trivium.objectives.mfcc import MFCC
from trivium.objectives.self_supervised.hubert import FIRST, SECOND, UNFITTED, HuBERT
from trivium.training.budget import count_flops
from trivium.types import Views

SETTINGS = {
    "num_clusters": 6,
    "ratio": 0.5,
    "block": (2, 5),
    "aspect_ratio": (0.3, 3.3),
    "temperature": 0.1,
    "projection_width": 10,
    "second": 0.5,
    "layer": 1,
}
LENGTHS = [24, 24, 17, 9, 5, 2]
CLOSE = {"atol": 1e-5, "rtol": 1e-4}

kinds = pytest.mark.parametrize("kind", ["spectrogram", "wave"])
stages = pytest.mark.parametrize("iteration", [FIRST, SECOND])


def build(kind="spectrogram", **changed):
    encoder, data = (spectrogram(), CLIPS) if kind == "spectrogram" else (wave(), LONGER)
    return perturbed(HuBERT(encoder, data, **SETTINGS | changed))


def view_of(kind="spectrogram"):
    """The same clips at every call."""
    generator = torch.Generator().manual_seed(3)
    if kind == "spectrogram":
        return mels(LENGTHS, generator)
    return waves([3840, 3839, 2000, 961, 320, 7], generator)


def fitted(kind="spectrogram", iteration=FIRST, **changed):
    objective = build(kind, **changed)
    objective.fit(*view_of(kind))
    if iteration == SECOND:
        perturbed(objective.encoder)
        objective.after_step(0.5)
    return objective


def at_seed(function, *args):
    torch.manual_seed(5)
    return function(*args)


def draw(objective, view):
    """The tokens and the mask of the step that starts at the same seed."""
    tokens = objective.encoder.embed(view.values, view.valid)
    return tokens, at_seed(objective.masking.draw, tokens, objective.encoder.stem)


@kinds
@stages
def test_loss_and_gradients_equal_torchaudio(kind, iteration):
    objective, view = fitted(kind, iteration), view_of(kind)
    stem = objective.encoder.stem
    tokens, mask = draw(objective, view)
    context = objective.encoder.contextualise(objective.masking(tokens, mask, stem)).tokens
    theirs = LogitGenerator(32, 6, 10, skip_masked=False, skip_nomask=True)
    theirs.final_proj, theirs.label_embeddings = objective.project, objective.codes
    logits, _ = theirs(context, objective.targets(view), mask.mask, ~mask.mask)
    # The first logit is that of the label, which is left out (-inf) among the others.
    wanted = torch.zeros(len(logits), dtype=torch.long)
    expected = F.cross_entropy(logits, wanted)
    terms = at_seed(objective, Views((view,)))
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["accuracy"] == (logits.argmax(1) == 0).float().mean()
    learnt = {n: p for n, p in objective.named_parameters() if p.requires_grad}
    ours = torch.autograd.grad(terms["loss"], list(learnt.values()))
    others = torch.autograd.grad(expected, list(learnt.values()))
    for name, mine, other in zip(learnt, ours, others, strict=True):
        torch.testing.assert_close(mine, other, **CLOSE)
        assert mine.abs().max() > 0, name


def rows_of(objective, view):
    """MFCCs of the tokens of every clip alone: two frames of each patch, ten of each piece."""
    transform, rows = MFCC(CLIPS), []
    size = 2 if view.values.ndim == 4 else 10
    for number in range(len(view.values)):
        frames = transform(alone(view, number).values)[0]
        count = int(objective.encoder.embed(alone(view, number).values).values.shape[1])
        held = torch.cat([frames, frames[-1:].expand(size * count, -1)])[: size * count]
        rows.append(held.view(count, size, 39).mean(1))
    return torch.cat(rows).numpy()


@kinds
def test_the_first_targets_are_k_means_clusters_of_mfccs(kind):
    objective, view = fitted(kind), view_of(kind)
    assert objective.iteration == FIRST
    rows = rows_of(objective, view)
    means = MiniBatchKMeans(6, random_state=0, n_init=3, batch_size=4096).fit(rows)
    np.testing.assert_allclose(objective.centroids[:, :39], means.cluster_centers_, atol=1e-3)
    valid = objective.encoder.stem.valid_tokens(view.valid)
    found = objective.targets(view)
    assert found.shape == valid.shape
    np.testing.assert_array_equal(found[valid], means.predict(rows))
    assert len(found[valid].unique()) == 6


@kinds
@stages
def test_targets_are_the_nearest_centroids_in_float64(kind, iteration):
    objective, view = fitted(kind, iteration), view_of(kind)
    described = objective.sound(view) if iteration == FIRST else objective.features(view)
    width = described.shape[2]
    assert width == (39 if iteration == FIRST else 32)
    centroids = objective.centroids[:, :width].double()
    expected = torch.cdist(described.double(), centroids.expand(len(described), -1, -1)).argmin(2)
    assert torch.equal(objective.targets(view), expected)
    with torch.autocast("cpu", torch.bfloat16):
        if iteration == FIRST:
            assert torch.equal(objective.targets(view), expected)


@kinds
@stages
def test_targets_of_a_clip_alone_are_those_in_a_padded_batch(kind, iteration):
    objective, view = fitted(kind, iteration), view_of(kind)
    together = objective.targets(view)
    for number in range(len(LENGTHS)):
        one = objective.targets(alone(view, number))[0]
        assert torch.equal(together[number, : len(one)], one)


def test_second_targets_are_clusters_of_the_copys_block():
    objective, view = build(layer=1), view_of()
    objective.fit(*view)
    perturbed(objective.encoder)
    before = objective.targets(view)
    objective.after_step(0.49)
    assert objective.iteration == FIRST
    assert torch.equal(objective.targets(view), before)
    encoder = copy.deepcopy(objective.encoder)
    objective.after_step(0.5)
    assert objective.iteration == SECOND
    valid = encoder.stem.valid_tokens(view.valid)
    tokens = encoder.embed(view.values, view.valid)
    rows = encoder.trunk.blocks[0](tokens.values, tokens.valid)[valid].detach().numpy()
    means = MiniBatchKMeans(6, random_state=0, n_init=3, batch_size=4096).fit(rows)
    np.testing.assert_allclose(objective.centroids[:, :32], means.cluster_centers_, atol=1e-3)
    assert objective.centroids[:, 32:].eq(0).all()
    after = objective.targets(view)
    np.testing.assert_array_equal(after[valid], means.predict(rows))
    assert not torch.equal(after[valid], before[valid])


def test_the_copy_is_the_encoder_of_the_switch_and_stays():
    objective, view = build(), view_of()
    objective.fit(*view)
    perturbed(objective.encoder)
    codes = objective.codes.detach().clone()
    encoder = copy.deepcopy(objective.encoder)
    objective.after_step(0.6)
    for mine, other in zip(objective.copied.copy.parameters(), encoder.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert not mine.requires_grad
    assert not torch.allclose(objective.codes, codes, atol=0.1)
    assert 0 <= objective.codes.min() <= objective.codes.max() <= 1
    kept, targets = copy.deepcopy(objective.state_dict()), objective.targets(view)
    perturbed(objective.encoder)
    for progress in (0.7, 1.0):
        objective.after_step(progress)
    assert torch.equal(objective.targets(view), targets)
    for name, value in objective.state_dict().items():
        assert name.startswith("encoder.") or torch.equal(value, kept[name])


def test_all_ranks_begin_the_second_iteration_with_the_same_codes():
    objective = build()
    objective.fit(*view_of())
    other = copy.deepcopy(objective)
    for seed, each in enumerate((objective, other)):
        torch.manual_seed(seed)
        each.after_step(0.5)
    assert torch.equal(objective.codes, other.codes)
    assert torch.equal(objective.centroids, other.centroids)


@pytest.mark.parametrize(("second", "progress"), [(0.5, 1.0), (1.0, 0.99), (1.0, 1.0)])
def test_nothing_begins_at_the_end(second, progress):
    objective = build(second=second)
    objective.fit(*view_of())
    objective.after_step(progress)
    assert objective.iteration == FIRST


@stages
def test_a_resumed_run_goes_on_with_the_same_targets(iteration):
    objective, view = fitted(iteration=iteration), view_of()
    state = copy.deepcopy(objective.state_dict())
    torch.manual_seed(77)
    resumed = build()
    # As `trivium.training.run.pretrain` does: fitted before the checkpoint is loaded.
    resumed.fit(*view)
    resumed.load_state_dict(state)
    assert resumed.iteration == iteration
    assert torch.equal(resumed.targets(view), objective.targets(view))
    for each in (objective, resumed):
        each.after_step(0.8)
        assert each.iteration == SECOND
    assert torch.equal(resumed.targets(view), objective.targets(view))
    losses = [at_seed(each, Views((view,)))["loss"] for each in (objective, resumed)]
    assert torch.equal(*losses)


def test_raw_clips_of_a_store_are_as_their_views():
    view = view_of("wave")
    objective, other = build("wave"), build("wave")
    other.load_state_dict(objective.state_dict())
    ints = (view.values * 2**15).round().clamp(-(2**15), 2**15 - 1).to(torch.int16)
    objective.fit(ints, view.valid)
    other.fit(ints.float() / 2**15, view.valid)
    assert torch.equal(objective.centroids, other.centroids)
    halves = mels(LENGTHS)
    objective, other = build(), build()
    objective.fit(halves.values.half(), halves.valid)
    other.fit(halves.values.half().float(), halves.valid)
    assert torch.equal(objective.centroids, other.centroids)


def test_many_clips_are_described_in_parts(monkeypatch):
    view = view_of()
    whole = build()
    whole.fit(*view)
    monkeypatch.setattr("trivium.objectives.self_supervised.hubert.CLIPS_AT_ONCE", 4)
    parts = build()
    parts.fit(*view)
    torch.testing.assert_close(parts.centroids[:, :39], whole.centroids[:, :39])


@pytest.mark.parametrize("patch", [(2, 16), (4, 4), None], ids=str)
def test_before_the_fit_a_step_is_priced_as_the_dearest(patch):
    encoder, data = (spectrogram(patch=patch), CLIPS) if patch else (wave(), LONGER)
    objective = HuBERT(encoder, data, **SETTINGS)
    view = view_of("spectrogram" if patch else "wave")
    views, prices = Views((view,)), []
    assert objective.iteration == UNFITTED
    prices.append(count_flops(objective, views))
    objective.fit(*view)
    prices.append(count_flops(objective, views))
    objective.after_step(0.5)
    prices.append(count_flops(objective, views))
    assert prices[0] == prices[2] >= prices[1] > 0


def test_an_unfitted_step_is_possible():
    terms = build()(Views((view_of(),)))
    assert terms["loss"].isfinite()
    assert terms["iteration"] == 1


def test_what_is_masked_is_learnt_in_both_iterations():
    torch.manual_seed(0)
    objective = HuBERT(spectrogram(init="xavier"), CLIPS, **SETTINGS)
    views = Views((mels([24, 24, 24, 17]),))
    objective.fit(*views.views[0])
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], lr=1e-2)
    seen = {1: [], 2: []}
    for step in range(120):
        optimizer.zero_grad()
        terms = at_seed(objective, views)
        terms["loss"].backward()
        optimizer.step()
        seen[int(terms["iteration"])].append(terms["accuracy"].item())
        objective.after_step((step + 1) / 120)
    for accuracies in seen.values():
        assert len(accuracies) == 60
        assert accuracies[0] < 0.3
        assert sorted(accuracies)[30] > 0.85


def test_terms_and_the_plateau():
    objective, view = fitted(iteration=SECOND), view_of()
    terms = at_seed(objective, Views((view,)))
    _, mask = draw(objective, view)
    shares = objective.targets(view)[mask.mask].bincount(minlength=6) / mask.mask.sum()
    expected = math.exp(-sum(p * math.log(p) for p in shares.tolist() if p))
    assert terms["perplexity"].item() == pytest.approx(expected, rel=1e-5)
    assert terms["iteration"] == 2
    assert objective.plateau(9) is None
    assert fitted().plateau(9) == build().plateau(9) == pytest.approx(math.log(6))


@pytest.mark.parametrize(("layer", "block"), [(1, 0), (2, 1), (9, 1)])
def test_layers_count_from_one_and_end_with_the_last(layer, block):
    objective, view = build(layer=layer), mels([24])
    encoder = objective.copied.copy
    expected = encoder.layers(encoder.embed(view.values))[block]
    torch.testing.assert_close(objective.features(view), expected)


def test_pictures_show_what_is_masked():
    rows = fitted().pictures(Views((view_of(),)))
    assert list(rows) == ["input", "masked"]
    assert rows["input"].shape == rows["masked"].shape == (6, 1, 24, 16)


def test_settings_and_data_that_cannot_work_are_refused():
    for wrong in ({"second": 0.0}, {"second": 1.1}, {"layer": 0}):
        with pytest.raises(ValueError, match=r"second in \(0, 1\] and a layer from 1 on"):
            build(**wrong)
    with pytest.raises(ValueError, match="50 clusters need as many tokens, but the train clips"):
        build(num_clusters=50).fit(*mels([24, 9]))
