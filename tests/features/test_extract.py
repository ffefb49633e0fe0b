import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from clips import SOUND, noisy_tones, perturbed, spectrogram, wave
from trivium.data.spectrogram import settings_of
from trivium.data.store import Store
from trivium.data.writer import Origin, Parsed, Waves, write_store
from trivium.encoders.baselines import MelStatistics
from trivium.encoders.checkpoint import save_encoder
from trivium.encoders.vit import ViT
from trivium.features import cache, cached_features, embed, embed_layers, embed_views, load_encoder
from trivium.transforms.image.geometry import RandomHorizontalFlip
from trivium.transforms.image.pixels import ToFloat
from trivium.transforms.image.recipe import ImageViews, Pipeline
from trivium.types import DataSpec, Encoder, Features

SPEC = DataSpec("tiny", "image", (1, 8, 8), 3, 20, (0.5,), (0.25,))


class Moments(Encoder):
    """Mean of each image; in training mode it would add noise."""

    name, width, contextual = "moments", 1, False

    def __init__(self):
        super().__init__()
        self.noise = nn.Dropout(0.9)
        self.frozen = nn.Dropout(0.9).eval()
        self.sizes = []

    def forward(self, values, valid=None):
        self.sizes.append(len(values))
        assert not torch.is_grad_enabled()
        assert values.dtype == torch.float32
        pooled = self.noise(values.flatten(1)).mean(1, keepdim=True)
        return Features(pooled[:, None], pooled, torch.ones(len(values), 1, dtype=torch.bool))


def images(num_items=10):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num_items, 1, 8, 8), dtype=np.uint8)


def small_vit():
    return ViT(SPEC, name="vit", patch=4, width=16, depth=1, num_heads=2)


class Shelf(Store):
    def __init__(self, fingerprint="f1"):
        self.fingerprint = fingerprint
        columns = {"image": "image.npy"}
        self.meta = types.SimpleNamespace(modality="image", columns=columns, files={}, parts=())

    def column(self, name):
        assert name == "image"
        return images()


def test_features_are_scaled_ordered_and_frozen():
    pixels, encoder = images(), Moments()
    chosen = np.array([7, 2, 9])
    features = embed(encoder, pixels, chosen, batch_size=2)
    expected = pixels[chosen].reshape(3, -1).mean(1, keepdims=True) / 255
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert features.dtype == np.float32
    assert encoder.sizes == [2, 1]


def test_the_mode_of_every_module_is_restored():
    encoder = Moments()
    embed(encoder, images())
    assert encoder.training
    assert encoder.noise.training
    assert not encoder.frozen.training


def test_floats_stay_as_they_are():
    pixels = images().astype(np.float32) / 255
    np.testing.assert_allclose(embed(Moments(), pixels), embed(Moments(), images()), rtol=1e-6)


def test_batches_do_not_matter():
    encoder = small_vit()
    whole, parts = (embed(encoder, images(), batch_size=size) for size in (10, 3))
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_nothing_and_nan_are_errors():
    with pytest.raises(ValueError, match="no items"):
        embed(Moments(), images(), np.empty(0, np.int64))
    with pytest.raises(ValueError, match="NaN or infinite"):
        embed(Moments(), np.full((2, 1, 8, 8), np.nan, np.float32))


class Shelved(Shelf):
    num_items = 10
    parts = ()


def recipe(*ops):
    return ImageViews([Pipeline([ToFloat(), *ops])])


def test_views_that_change_nothing_have_the_features_of_the_items():
    encoder, chosen = small_vit().train(), np.array([7, 2, 9])
    features = embed_views(encoder, Shelved(), chosen, recipe(), num_views=3, batch_size=2)
    assert features.shape == (3, 3, 16)
    assert encoder.training
    expected = embed(encoder, images(), chosen)
    for number in range(3):
        np.testing.assert_allclose(features[:, number], expected, atol=1e-6)


def test_views_differ_and_are_the_same_again():
    flip = recipe(RandomHorizontalFlip(p=0.5))
    encoder, chosen = small_vit(), np.arange(10)
    found = embed_views(encoder, Shelved(), chosen, flip, num_views=8)
    again = embed_views(encoder, Shelved(), chosen, flip, num_views=8)
    np.testing.assert_array_equal(found, again)
    other = embed_views(encoder, Shelved(), chosen, flip, num_views=8, seed=1)
    assert not np.array_equal(found, other)
    mirrored = [embed(encoder, images()), embed(encoder, images()[..., ::-1].copy())]
    near = [np.abs(found - one[:, None]).max(2) < 1e-5 for one in mirrored]
    assert (near[0] ^ near[1]).all()
    assert 20 < near[0].sum() < 60


def test_views_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no items"):
        embed_views(small_vit(), Shelved(), np.empty(0, np.int64), recipe(), num_views=2)


def test_the_layers_are_those_of_the_trunk_and_the_last_is_what_is_pooled():
    encoder = ViT(SPEC, name="vit", patch=4, width=16, depth=2, num_heads=2)
    chosen = np.array([7, 2, 9])
    found = embed_layers(encoder, Shelf(), chosen, batch_size=2)
    assert found.shape == (3, 3, 16)
    values = torch.from_numpy(images()[chosen]) / 255
    with torch.no_grad():
        tokens = encoder.eval().embed(values)
        np.testing.assert_allclose(found[:, 0], tokens.values.mean(1), atol=1e-5)
        block = encoder.trunk.blocks[0](tokens.values, None, None)
        np.testing.assert_allclose(found[:, 1], block.mean(1), atol=1e-5)
        last = encoder.trunk.norm(encoder.layers(tokens)[-1]).mean(1)
    np.testing.assert_allclose(embed(encoder, images(), chosen), last, atol=1e-5)
    assert encoder.width == 16


def test_an_encoder_without_blocks_has_no_layers():
    with pytest.raises(ValueError, match="moments has no blocks"):
        embed_layers(Moments(), Shelf(), np.arange(3))


def test_the_cache_is_filled_once_and_keyed_by_weights_and_store(tmp_path, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return embed(*args, **kwargs)

    monkeypatch.setattr(cache, "embed", counted)
    encoder, kept = small_vit(), tmp_path / "cache"
    save_encoder(encoder, tmp_path / "one", {"seed": 0})
    first = cached_features(tmp_path / "one", Shelf(), kept)
    np.testing.assert_allclose(first, embed(encoder, images()), atol=1e-6)
    again = cached_features(tmp_path / "one", Shelf(), kept)
    np.testing.assert_array_equal(first, again)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    assert len(calls) == 1
    cached_features(tmp_path / "one", Shelf("f2"), kept)
    with torch.no_grad():
        next(encoder.parameters()).add_(1)
    save_encoder(encoder, tmp_path / "two", {"seed": 0})
    changed = cached_features(tmp_path / "two", Shelf(), kept)
    assert len(calls) == 3
    assert not np.allclose(first, changed)
    assert len(list(kept.glob("*/*"))) == 3


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    save_encoder(small_vit(), tmp_path / "one", {})

    def full(_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        cached_features(tmp_path / "one", Shelf(), tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("source", ["runs:/abc/encoder", "models:/vit@champion"])
def test_encoders_come_from_folders_and_from_tracking(tmp_path, monkeypatch, source):
    encoder = small_vit()
    save_encoder(encoder, tmp_path, {})
    fake = types.SimpleNamespace(download={source: tmp_path}.__getitem__)
    monkeypatch.setitem(sys.modules, "trivium.tracking.query", fake)
    for loaded in (load_encoder(tmp_path), load_encoder(str(tmp_path)), load_encoder(source)):
        assert not loaded.training
        np.testing.assert_allclose(embed(loaded, images()), embed(encoder, images()), atol=1e-6)


LENGTHS = [768, 767, 1500, 333, 64, 40, 7, 500]
"""Samples; at most 24 frames of 32 samples are shown, and one clip is shorter than a frame."""


@pytest.fixture
def sounds(tmp_path):
    generator = torch.Generator().manual_seed(3)
    waves = [(2**15 * wave).short().numpy() for wave in noisy_tones(LENGTHS, generator)]
    offsets = np.cumsum([0, *LENGTHS])
    settings = settings_of(SOUND)._replace(window=256)  # the last frame hears what is cut
    clips = Waves(np.concatenate(waves), offsets, settings, 24)
    indices = np.arange(len(LENGTHS))
    labels = {"kind": indices % 2}
    parsed = Parsed({}, labels, {"kind": ("a", "b")}, indices[:6], indices[6:], waves=clips)
    origin = Origin("made", "1", "0" * 64, "CC0-1.0", "digest")
    return write_store(tmp_path / "store", "sounds", parsed, origin), waves


OF_AUDIO = {
    "patches of frames": lambda data: spectrogram(data, patch=(5, None)),
    "patches": lambda data: spectrogram(data, patch=(16, 8), pooling="both"),
    "statistics": lambda data: MelStatistics(data),
    "waves": wave,
}


@pytest.mark.parametrize("kind", OF_AUDIO)
def test_a_list_of_waves_is_embedded_as_the_store_of_them(sounds, kind):
    store, waves = sounds
    encoder = perturbed(OF_AUDIO[kind](store.spec())).eval()
    whole = embed(encoder, store)
    assert whole.shape == (len(LENGTHS), encoder.width)
    for size in (512, 3, 1):
        np.testing.assert_allclose(embed(encoder, store, batch_size=size), whole, atol=2e-3)
        np.testing.assert_allclose(embed(encoder, waves, batch_size=size), whole, atol=2e-3)
    floats = [wave.astype(np.float32) / 2**15 for wave in waves]
    np.testing.assert_allclose(embed(encoder, floats), whole, atol=2e-3)
    assert np.abs(whole - whole[0]).max(1)[1:].min() > 0.02


@pytest.mark.parametrize("kind", OF_AUDIO)
def test_clips_come_in_the_asked_order(sounds, kind):
    store, waves = sounds
    encoder, chosen = OF_AUDIO[kind](store.spec()), np.array([7, 2, 0, 2])
    whole = embed(encoder, store)
    for data in (store, waves):
        found = embed(encoder, data, chosen, batch_size=2)
        np.testing.assert_allclose(found, whole[chosen], atol=2e-3)


def test_an_encoder_of_waves_hears_them_as_they_are(sounds):
    store, waves = sounds
    encoder = wave(store.spec()).eval()
    heard = torch.from_numpy(waves[3].astype(np.float32) / 2**15)[None]
    with torch.no_grad():
        expected = encoder(heard).pooled
    np.testing.assert_allclose(embed(encoder, waves)[3:4], expected, atol=1e-5)


def test_an_encoder_of_log_mel_hears_that_of_the_store(sounds):
    encoder, heard = MelStatistics(sounds[0].spec()), []
    encoder.register_forward_pre_hook(lambda module, args: heard.append(args))
    for number in range(len(LENGTHS)):
        for data in sounds:
            embed(encoder, data, np.array([number]))
    for (stored, present), (ours, valid) in zip(heard[::2], heard[1::2], strict=True):
        frames = int(present.sum())
        assert int(valid.sum()) == frames
        # To a step of half precision.
        torch.testing.assert_close(ours[:, :, :frames], stored[:, :, :frames], atol=0.01, rtol=0)


def test_other_data_than_audio_are_refused(sounds):
    with pytest.raises(ValueError, match="sounds is audio, but the encoder vit takes image"):
        embed(small_vit(), sounds[0])
