"""M3AE: what is hidden is predicted, is not seen, and can be learned from another modality."""

import pytest
import torch
from hydra.utils import instantiate

from pairs import THERE, assert_missing_is_ignored, senses, spec, towers
from trivium.objectives.self_supervised.m3ae import M3AE
from trivium.types import MASK, View, Views
from yamls import read

SETTINGS = {
    "ratio": {"image": 0.75, "text": 0.5, "audio": 0.5},
    "normalise": {"image": True, "text": False, "audio": False},
    "weights": None,
    "decoder_width": 16,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
}
ALL = ("image", "text", "audio")


def build(*modalities, **settings):
    data = spec(*modalities)
    return data, M3AE(towers(data), data, **SETTINGS | settings)


def views(some):
    return Views((View(some),))


def predicted(objective, some, seed=0):
    torch.manual_seed(seed)
    return objective.predict(some)


def blend(stem, values, mask, replacement):
    """Inputs whose masked tokens hold what another input has there."""
    if stem.likelihood == "categorical":
        return torch.where(mask, replacement, values)
    tokens = torch.where(mask.unsqueeze(-1), stem.target(replacement), stem.target(values))
    return stem.unpatchify(tokens) * stem.std + stem.mean


@pytest.mark.parametrize("one", ALL)
def test_hidden_content_reaches_no_prediction(one):
    data, objective = build(*ALL)
    some, stem = senses(data), objective.encoder.tower(one).stem
    first, masks = predicted(objective, some)
    replacement = senses(data, seed=1)[one].values
    for hidden in (True, False):
        mask = masks[one].mask if hidden else ~masks[one].mask
        values = blend(stem, some[one].values, mask, replacement)
        second, again = predicted(objective, {**some, one: some[one]._replace(values=values)})
        assert torch.equal(masks[one].mask, again[one].mask)
        for other in ALL:
            # Rounding of the blend aside; what is visible is seen by all, other modalities too.
            change = (first[other] - second[other]).abs().flatten(1).amax(1)
            assert (change < 1e-4).all() if hidden else (change > 1e-3).all()


def test_loss_is_the_mean_distance_over_hidden_tokens_of_each_modality():
    weights = {"image": 1.0, "text": 0.5, "audio": 2.5}
    data, objective = build(*ALL, weights=weights)
    some = senses(data, present=THERE)
    predictions, masks = predicted(objective, some)
    torch.manual_seed(0)
    terms = objective(views(some))
    expected = {}
    for one in ALL:
        stem, distances = objective.encoder.tower(one).stem, []
        target = stem.target(some[one].values, normalise=one == "image")
        for sample in range(6):
            if one != "audio" and not THERE[one][sample]:
                continue
            for place in masks[one].mask[sample].nonzero()[:, 0]:
                prediction = predictions[one][sample, place]
                if one == "text":
                    distances.append(-prediction.log_softmax(0)[target[sample, place]])
                else:
                    distances.append((prediction - target[sample, place]).square().mean())
        expected[one] = torch.stack(distances).mean()
        torch.testing.assert_close(terms[f"distance_{one}"], expected[one].detach())
    total = sum(weights[one] * expected[one] for one in ALL) / 4.0
    torch.testing.assert_close(terms["loss"], total)


def test_only_hidden_tokens_of_present_modalities_carry_loss():
    data, objective = build(*ALL)
    some = senses(data, present=THERE)
    predictions, masks = predicted(objective, some)
    leaves = {one: each.detach().requires_grad_() for one, each in predictions.items()}
    objective.predict = lambda _: (leaves, masks)
    objective(views(some))["loss"].backward()
    for one in ALL:
        touched = leaves[one].grad.abs().sum(2) > 0
        assert torch.equal(touched, masks[one].mask)
        if some[one].present is not None:
            assert not touched[~some[one].present].any()
        if some[one].valid is not None:
            valid = objective.encoder.tower(one).embed(some[one].values, some[one].valid).valid
            assert not touched[~valid].any()
    shares = masks["image"].mask[:4].float().mean(1)
    assert shares.tolist() == [0.75] * 4


@pytest.mark.parametrize("modalities", [("image", "text"), ALL])
def test_what_a_sample_lacks_has_no_influence(modalities):
    data, objective = build(*modalities)
    assert_missing_is_ignored(objective, data)


def test_a_modality_that_nobody_has_costs_nothing():
    data, objective = build("image", "text")
    some = senses(data, present={"text": [False] * 6})
    terms = objective(views(some))
    assert terms["distance_text"] == 0
    torch.testing.assert_close(terms["loss"].detach(), terms["distance_image"] / 2)
    terms["loss"].backward()
    grads = [one.grad for one in objective.parameters() if one.grad is not None]
    assert all(one.isfinite().all() for one in grads)


def test_a_few_samples_are_learned_by_heart():
    data, objective = build("image", "text")
    some = senses(data, batch=4)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-2)
    losses = []
    for _ in range(200):
        terms = objective(views(some))
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        losses.append(terms)
    for one in ("image", "text"):
        first, last = (
            sum(terms[f"distance_{one}"].item() for terms in part) / 10
            for part in (losses[:10], losses[-10:])
        )
        assert last < 0.25 * first


def test_pictures_keep_what_was_visible():
    data, objective = build("image", "text", normalise={"image": False, "text": False})
    some = senses(data, present=THERE)
    torch.manual_seed(0)
    rows = objective.pictures(views(some))
    names = ["image input", "image masked", "image filled", "text", "text masked", "text filled"]
    assert list(rows) == names
    _, masks = predicted(objective, some)
    hidden = masks["text"].mask
    assert torch.equal(rows["text masked"] == MASK, hidden)
    assert torch.equal(rows["text filled"][~hidden], some["text"].values[~hidden])
    assert torch.equal(rows["text"][1], rows["text filled"][1])
    stem = objective.encoder.tower("image").stem
    hidden = masks["image"].mask
    first, second = (stem.patchify(rows[f"image {name}"]) for name in ("input", "filled"))
    torch.testing.assert_close(first[~hidden], second[~hidden])
    assert not torch.allclose(first[hidden], second[hidden])


def test_every_parameter_that_is_used_has_a_gradient():
    data, objective = build(*ALL)
    objective(views(senses(data)))["loss"].backward()
    optional = tuple(f"encoder.{one}" for one in objective.encoder.optional)
    lost = [name for name, each in objective.named_parameters() if each.grad is None]
    assert [name for name in lost if not name.startswith(optional)] == []


def test_wrong_settings_are_refused():
    data = spec("image", "text")
    resnet = {"_target_": "trivium.encoders.resnet.ResNet", "name": "resnet", "depth": 18}
    resnet |= {"stem_kind": "small", "patch": 8}
    with pytest.raises(ValueError, match="its tower of image, ResNet, cannot encode a subset"):
        M3AE(towers(data, image=resnet), data, **SETTINGS)
    with pytest.raises(ValueError, match=r"none for text: set objective\.ratio\.text"):
        build("image", "text", ratio={"image": 0.5})


def test_it_is_built_from_its_yaml():
    data = spec(*ALL)
    config = read("objective/self_supervised/m3ae.yaml").objective
    objective = instantiate(config, encoder=towers(data), data=data)
    assert objective(views(senses(data)))["loss"].isfinite()
