"""Corruption by its statistics; the loss against the clean input."""

import pytest
import torch
from torch.nn import functional as F

from clips import CLIPS, LONGER, mels, spectrogram, wave, waves
from trivium.objectives.unsupervised.autoencoder import Autoencoder
from trivium.objectives.unsupervised.denoising_autoencoder import DenoisingAutoencoder
from trivium.types import Views

SIZES = {"latent_width": 5, "decoder_width": 8, "decoder_depth": 1}


@pytest.fixture
def settings():
    return SIZES | {"noise": 0.5, "masking": 0.25}


def test_corruption_has_the_stated_share_and_deviation(encoder, data, settings):
    objective = DenoisingAutoencoder(encoder, data, **settings)
    values = torch.full((200, 1, 16, 16), 3.0)
    corrupted = objective.corrupt(values)
    kept = corrupted != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    difference = (corrupted - values)[kept]
    assert difference.mean().item() == pytest.approx(0, abs=0.01)
    assert difference.std().item() == pytest.approx(0.5, abs=0.01)
    assert (values == 3).all()


@pytest.mark.parametrize(
    ("noise", "masking", "num_changed"), [(0.3, 0.0, 384), (0.0, 0.9999, 384), (0.0, 1e-9, 0)]
)
def test_each_corruption_can_be_off(encoder, data, one_view, noise, masking, num_changed):
    objective = DenoisingAutoencoder(encoder, data, **SIZES, noise=noise, masking=masking)
    values = one_view.views[0].values
    assert (objective.corrupt(values) != values).sum() == num_changed


def test_the_encoder_sees_noise_and_the_target_is_clean(encoder, data, one_view, settings):
    objective = DenoisingAutoencoder(encoder, data, **settings)
    values = one_view.views[0].values
    torch.manual_seed(3)
    corrupted = objective.corrupt(values)
    images = encoder.stem.unpatchify(objective.head(encoder(corrupted).pooled))
    torch.manual_seed(3)
    expected = F.mse_loss(images, (values - 0.4) / 0.25)
    torch.testing.assert_close(objective(one_view)["loss"], expected)


def test_without_corruption_it_is_the_autoencoder(encoder, data, one_view):
    plain = Autoencoder(encoder, data, **SIZES)
    denoising = DenoisingAutoencoder(encoder, data, **SIZES, noise=0.0, masking=1e-9)
    denoising.load_state_dict(plain.state_dict())
    torch.testing.assert_close(denoising(one_view)["loss"], plain(one_view)["loss"])


@pytest.mark.parametrize(("noise", "masking"), [(0.0, 0.0), (-0.1, 0.5), (0.1, 1.0), (0.1, -0.1)])
def test_settings_that_make_no_sense_are_refused(encoder, data, noise, masking):
    with pytest.raises(ValueError, match="denoising needs a noise"):
        DenoisingAutoencoder(encoder, data, **SIZES, noise=noise, masking=masking)


def test_ids_are_refused(encoder, data, settings):
    with pytest.raises(ValueError, match="these inputs are ids"):
        DenoisingAutoencoder(encoder, data, **settings).corrupt(torch.zeros(2, 5).long())


@pytest.mark.parametrize(
    ("make", "data", "view", "blank"),
    [(spectrogram, CLIPS, mels([24, 9]), -4.0), (wave, LONGER, waves([3840, 700]), 0.0)],
    ids=["mel", "wave"],
)
def test_audio_is_blanked_by_the_mean_or_by_silence_up_to_its_end(make, data, view, blank):
    objective = DenoisingAutoencoder(make(), data, **SIZES, noise=0.0, masking=0.25)
    corrupted = objective.corrupt(view.values, view.valid)
    heard = view.valid if view.values.ndim == 2 else view.valid[:, None, :, None]
    heard = heard.expand_as(corrupted)
    changed = corrupted != view.values
    assert not (changed & ~heard).any()
    assert corrupted[changed].eq(blank).all()
    assert changed[heard].float().mean().item() == pytest.approx(0.25, abs=0.05)
    objective.noise = 0.5
    noisy = objective.corrupt(view.values, view.valid)
    assert torch.equal(noisy[~heard], view.values[~heard])
    rows = objective.pictures(Views((view,)))
    assert len({row.shape for row in rows.values()}) == 1


def test_pictures_show_what_the_encoder_saw(encoder, data, one_view, settings):
    objective = DenoisingAutoencoder(encoder, data, **settings)
    torch.manual_seed(3)
    corrupted = objective.corrupt(one_view.views[0].values)
    torch.manual_seed(3)
    pictures = objective.pictures(one_view)
    assert list(pictures) == ["input", "corrupted", "reconstruction"]
    torch.testing.assert_close(pictures["input"], one_view.views[0].values)
    torch.testing.assert_close(pictures["corrupted"], corrupted.clamp(0, 1))
    assert pictures["reconstruction"].shape == (6, 1, 8, 8)
