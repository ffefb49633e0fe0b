from itertools import pairwise

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from transforms.audio.clips import mels, own, padded, seeded, waves
from trivium.transforms.audio.recipe import AudioPipeline, AudioViews, LogMelOp
from trivium.transforms.audio.spans import TimeCrop
from trivium.transforms.audio.waves import Gain, WaveGain
from trivium.transforms.image.recipe import ImageViews
from trivium.transforms.text import TextViews
from trivium.types import View
from yamls import read

SOUND = {"rate": 4000, "window": 100, "hop": 40, "bands": 8, "low": 50.0, "high": 2000.0}
CONFIG = OmegaConf.create(
    {"data": {"spectrogram": SOUND}, "views": {"audio": read("views/audio.yaml")}}
).views.audio
NUM_VIEWS = {
    "plain": 1,
    "flip": 1,
    "mild": 1,
    "two_mild": 2,
    "spec_augment": 1,
    "contrastive": 2,
    "two_crops": 2,
    "multi_crop": 6,
    "crop_mix": 2,
    "wave": 1,
    "two_wave": 2,
    "noisy": 2,
}
WAVES = {"wave": "wave", "two_wave": "wave", "noisy": "mel"}
UNCHANGED = {"plain", "flip", "wave"}


def stored(name, lengths=(30, 12, 20, 30)):
    """Clips as a store hands them out."""
    if name in WAVES:
        view = waves(lengths, 30)
        long = View(view.values.repeat_interleave(40, 1), view.valid.repeat_interleave(40, 1))
        return (long.values * 2**15).round().clamp(-(2**15), 2**15 - 1).to(torch.int16), long.valid
    view = mels(lengths, 30, bands=8)
    return view.values.half(), view.valid


def test_the_known_recipes_are_the_file_s():
    assert set(CONFIG) == set(NUM_VIEWS)


@pytest.mark.parametrize("modality", ["image", "text"])
def test_recipes_of_one_name_make_as_many_views_in_every_modality(modality):
    others = read(f"views/{modality}.yaml")
    shared = set(others) & set(CONFIG)
    assert {"plain", "flip", "mild", "two_mild", "contrastive"} <= shared
    for name in shared:
        assert len(others[name].views) == len(CONFIG[name].views)


@pytest.mark.parametrize("name", NUM_VIEWS)
@pytest.mark.parametrize("masked", [True, False])
def test_a_named_recipe_makes_its_views(name, masked):
    values, valid = stored(name)
    before = values.clone()
    recipe = instantiate(CONFIG[name])
    assert recipe.column == ("wave" if name in WAVES else "mel")
    assert recipe.gives == WAVES.get(name, "mel")
    views = recipe(values, seeded(0), valid if masked else None)
    assert len(views) == recipe.num_views == NUM_VIEWS[name]
    for number, view in enumerate(views):
        assert isinstance(view, View)
        assert view.values.dtype == torch.float32
        assert view.values.isfinite().all()
        places = view.values.shape[2 if recipe.gives == "mel" else 1]
        if masked:
            assert view.valid.shape == (4, places)
            assert view.valid.any(1).all()
        else:
            assert (view.valid is None) == (name != "crop_mix")
        if name in ("two_crops", "multi_crop"):
            share = {"two_crops": 0.6, "multi_crop": 0.8 if number < 2 else 0.4}[name]
            assert places == round(30 * share)
        else:
            assert places == (1200 if recipe.gives == "wave" else 30)
    if name in UNCHANGED:
        expected = values.float() / (2**15 if name == "wave" else 1)
        assert torch.equal(views[0].values, expected)
    for one, two in pairwise(views):
        assert not torch.equal(one.values, two.values)
    assert torch.equal(values, before)


@pytest.mark.parametrize("name", sorted(set(NUM_VIEWS) - UNCHANGED))
def test_one_seed_gives_the_same_views_bit_by_bit(name):
    values, valid = stored(name)
    recipe = instantiate(CONFIG[name])
    state = torch.get_rng_state()
    first, again, other = (recipe(values, seeded(seed), valid) for seed in (7, 7, 8))
    assert torch.equal(torch.get_rng_state(), state)
    for one, two, three in zip(first, again, other, strict=True):
        assert torch.equal(one.values, two.values)
        assert not torch.equal(one.values, three.values)


@pytest.mark.parametrize("name", NUM_VIEWS)
def test_padding_changes_no_view(name):
    values, valid = stored(name)
    further = padded(View(values, valid), 80)
    recipe = instantiate(CONFIG[name])
    pairs = zip(
        recipe(values, seeded(3), valid),
        recipe(further.values, seeded(3), further.valid),
        strict=True,
    )
    for one, two in pairs:
        for clip in range(len(values)):
            torch.testing.assert_close(own(one, clip), own(two, clip), atol=2e-3, rtol=0)


def test_the_global_source_is_used_without_a_generator():
    values, valid = stored("noisy")
    recipe = instantiate(CONFIG.noisy)
    torch.manual_seed(3)
    first = recipe(values, None, valid)
    torch.manual_seed(3)
    assert torch.equal(first[1].values, recipe(values, None, valid)[1].values)


def test_without_audio_the_file_resolves_all_the_same():
    config = {"data": {"name": "pictures"}, "views": {"audio": read("views/audio.yaml")}}
    resolved = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    assert set(resolved["views"]["audio"]) == set(NUM_VIEWS)


def test_int16_waves_are_divided_by_full_scale():
    waves = torch.tensor([[-(2**15), -1, 0, 2**15 - 1]], dtype=torch.int16)
    view = AudioPipeline([], column="wave")(waves)
    assert view.values.tolist() == [[-1.0, -(2**-15), 0.0, 1 - 2**-15]]


def test_what_pipelines_and_recipes_read_and_give():
    mel, wave = AudioPipeline([Gain()]), AudioPipeline([WaveGain()], column="wave")
    both = AudioPipeline([WaveGain(), LogMelOp(**SOUND), Gain()], column="wave")
    assert [(p.column, p.gives) for p in (mel, wave, both)] == [
        ("mel", "mel"),
        ("wave", "wave"),
        ("wave", "mel"),
    ]
    assert ImageViews.column is ImageViews.gives is TextViews.column is TextViews.gives is None


def test_wrong_use_is_one_clear_sentence():
    with pytest.raises(ValueError, match="at least one view"):
        AudioViews([])
    with pytest.raises(ValueError, match="WaveGain takes wave, but the store gives mel"):
        AudioPipeline([WaveGain()])
    with pytest.raises(ValueError, match="TimeCrop takes mel, but WaveGain gives wave"):
        AudioPipeline([WaveGain(), TimeCrop((0.5, 0.5))], column="wave")
    mel, wave = AudioPipeline([]), AudioPipeline([], column="wave")
    with pytest.raises(ValueError, match="must read the same column, got mel, wave"):
        AudioViews([mel, wave])
    with pytest.raises(ValueError, match="must give the same column, got wave, mel"):
        AudioViews([wave, AudioPipeline([LogMelOp(**SOUND)], column="wave")])
    with pytest.raises(ValueError, match="column 'wave': expected int16 or floating waves"):
        wave(torch.zeros(2, 1, 5, 3))
    with pytest.raises(ValueError, match="column 'mel': expected floating log-mel"):
        mel(torch.zeros(2, 5, dtype=torch.int16))
