"""The control against scikit-learn 1.9.1, and what it makes of samples that lack a modality."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.cross_decomposition import CCA as Reference  # noqa: N811

import pairs
from trivium.encoders.checkpoint import load_encoder, save_encoder
from trivium.objectives.control.cca import CCA
from trivium.objectives.control.lsa import LSA
from trivium.objectives.control.pca import PCA
from trivium.types import BOS, PAD, ModalityInput, View, Views

NUM_ITEMS, WIDTH = 300, 8


def raw(*modalities, noise=1.0):
    """Senses as in a store, in which two hidden factors are shared."""
    generator = np.random.default_rng(3)
    factors = generator.normal(size=(NUM_ITEMS, 2))

    def mixed(num_values):
        mixing = generator.normal(size=(2, num_values))
        return factors @ mixing + noise * generator.normal(size=(NUM_ITEMS, num_values))

    images = (128 + 20 * mixed(768)).clip(0, 255).astype(np.uint8).reshape(-1, 3, 16, 16)
    chances = np.exp(mixed(46))
    chances /= chances.sum(1, keepdims=True)
    words = np.array([generator.choice(46, 11, p=row) for row in chances]) + 4
    words = np.concatenate([np.full((NUM_ITEMS, 1), BOS), words], 1)
    clips = (mixed(384) - 5).astype(np.float16).reshape(-1, 1, 24, 16)
    found = {"image": images, "text": words, "audio": clips}
    return {one: ModalityInput(torch.from_numpy(found[one])) for one in modalities}


def ready(senses):
    """As a view gives them."""
    values = {one: sense.values for one, sense in senses.items()}
    values["image"] = values["image"].float() / 255
    return {
        one: ModalityInput(some if one == "text" else some.float(), senses[one].valid)
        for one, some in values.items()
    }


def fitted(senses, *, width=WIDTH, num_components=3, regularisation=0.0):
    data = pairs.spec(*senses)
    objective = CCA(
        pairs.towers(data),
        data,
        width=width,
        num_components=num_components,
        regularisation=regularisation,
    )
    return objective, objective.fit(senses)


def projected(encoder, senses):
    """Joint features before they are brought to unit length."""
    with torch.no_grad():
        found = encoder.each(ready(senses))
        return {
            one: encoder.project[one](features.pooled).double().numpy()
            for one, features in found.items()
        }


def correlations(first, second):
    return np.array([np.corrcoef(*pair)[0, 1] for pair in zip(first.T, second.T, strict=True)])


def control_of(one):
    """The control that reduces a modality, not fitted."""
    data = pairs.spec("image", "text", "audio")
    kind = LSA if one == "text" else PCA
    return kind(pairs.towers(data).tower(one), data.part(one), width=WIDTH)


def reduced(senses):
    """The features of the towers, made by the controls alone."""
    found = {}
    for one, sense in senses.items():
        control = control_of(one)
        control.fit(sense.values)
        found[one] = control.encoder(ready(senses)[one].values).pooled.double().numpy()
    return found


@pytest.mark.parametrize("other", ["text", "audio"])
def test_two_modalities_are_scikit_learns(other):
    senses = raw("image", other)
    ours = projected(fitted(senses)[0].encoder, senses)
    features = reduced(senses)
    reference = Reference(3, scale=False, max_iter=20_000, tol=1e-12)
    theirs = reference.fit_transform(features["image"], features[other])
    np.testing.assert_allclose(
        correlations(ours["image"], ours[other]), correlations(*theirs), atol=1e-4
    )
    for mine, scores in zip(ours.values(), theirs, strict=True):
        assert np.rad2deg(subspace_angles(mine, scores)).max() < 0.5


def test_joint_features_are_centred_and_white():
    senses = raw("image", "text")
    ours = projected(fitted(senses)[0].encoder, senses)
    for rows in ours.values():
        np.testing.assert_allclose(rows.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(3), atol=1e-3)


def test_three_modalities_share_the_hidden_factors():
    senses = raw("image", "text", "audio", noise=0.5)
    ours = projected(fitted(senses, num_components=2, regularisation=0.01)[0].encoder, senses)
    for first in ours:
        for second in ours:
            assert correlations(ours[first], ours[second]).min() > 0.7


def test_towers_are_the_controls():
    senses = raw("image", "text")
    encoder = fitted(senses)[0].encoder
    for one, rows in reduced(senses).items():
        np.testing.assert_allclose(
            encoder.each(ready(senses))[one].pooled.double().numpy(), rows, atol=1e-6
        )


def test_correlations_are_of_complete_items_and_blanks_do_not_matter():
    senses = raw("image", "text")
    there = torch.arange(NUM_ITEMS) % 3 > 0
    lacking = senses | {"text": senses["text"]._replace(present=there)}
    encoder = fitted(lacking)[0].encoder
    blank = senses["text"].values.where(there[:, None], PAD)
    again = fitted(lacking | {"text": ModalityInput(blank, None, there)})[0].encoder
    for mine, theirs in zip(
        encoder.state_dict().values(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
    complete = {one: sense.values[there] for one, sense in senses.items()}
    text, image = control_of("text"), control_of("image")
    text.fit(complete["text"])
    assert torch.equal(encoder.tower("text").components, text.encoder.components)
    image.fit(senses["image"].values)  # on all of them
    assert torch.equal(encoder.tower("image").components, image.encoder.components)
    ours = projected(encoder, {one: ModalityInput(values) for one, values in complete.items()})
    np.testing.assert_allclose(ours["image"].mean(0), 0, atol=1e-4)


def test_a_missing_modality_is_its_mean():
    senses = raw("image", "text")
    encoder = fitted(senses)[0].encoder
    alone = encoder({"image": ready(senses)["image"]}).pooled[:, WIDTH:]
    mean = reduced(senses)["text"].mean(0)
    np.testing.assert_allclose(alone.detach(), np.tile(mean, (NUM_ITEMS, 1)), atol=1e-5)


def test_a_modality_has_as_many_features_as_it_can():
    senses = raw("image", "text")
    encoder = fitted(senses, width=60, regularisation=0.1)[0].encoder
    assert {one: encoder.tower(one).width for one in senses} == {"image": 60, "text": 49}
    with pytest.raises(ValueError, match="between 1 and 49"):
        fitted(senses, width=60, num_components=50)


def test_flops_add_up():
    senses = raw("image", "text")
    total = fitted(senses)[1]
    for one, sense in senses.items():
        total -= control_of(one).fit(sense.values)
    projections = 2 * NUM_ITEMS * (768 + 50) * WIDTH
    assert total == projections + 2 * NUM_ITEMS * 16**2 + 14 * 16**3


def test_the_towers_can_be_saved(tmp_path):
    senses = raw("image", "text", "audio")
    encoder = fitted(senses)[0].encoder
    save_encoder(encoder, tmp_path, {"objective": "cca"})
    again = load_encoder(tmp_path)
    for one, rows in projected(encoder, senses).items():
        np.testing.assert_array_equal(projected(again, senses)[one], rows)


def test_it_is_not_trained():
    objective, _ = fitted(raw("image", "text"))
    with pytest.raises(RuntimeError, match="CCA has no loss"):
        objective(Views((View({}),)))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_components": 9}, "num_components"),
        ({"regularisation": -0.1}, "regularisation"),
    ],
)
def test_wrong_settings_are_named(settings, named):
    with pytest.raises(ValueError, match=named):
        fitted(raw("image", "text"), **settings)


def test_too_few_complete_items_are_an_error():
    senses = raw("image", "text")
    there = torch.arange(NUM_ITEMS) < WIDTH
    with pytest.raises(ValueError, match="items with all modalities, but the train split has 8"):
        fitted(senses | {"text": senses["text"]._replace(present=there)})
