from itertools import pairwise

import pytest
import torch
from hydra.utils import instantiate

from trivium.transforms.image.colour import ColourJitter
from trivium.transforms.image.geometry import RandomResizedCrop
from trivium.transforms.image.pixels import ToFloat
from trivium.transforms.image.recipe import ImageViews, Pipeline
from trivium.types import View
from yamls import read

CONFIG = read("views/image.yaml")
NUM_VIEWS = {
    "plain": 1,
    "flip": 1,
    "mild": 1,
    "two_mild": 2,
    "contrastive": 2,
    "multi_crop": 6,
    "cifar_symmetric": 2,
    "cifar_asymmetric": 2,
    "imagenet_asymmetric": 2,
    "cropped": 1,
}
NUM_GLOBAL = 2


def pixels(batch, channels, side):
    return torch.randint(0, 256, (batch, channels, side, side), dtype=torch.uint8)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_known_recipes_are_the_file_s():
    assert set(CONFIG) == set(NUM_VIEWS)


@pytest.mark.parametrize("name", NUM_VIEWS)
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_a_named_recipe_makes_its_views(name, channels, side):
    images = pixels(70, channels, side)
    before = images.clone()
    recipe = instantiate(CONFIG[name])
    views = recipe(images, seeded(0))
    assert len(views) == recipe.num_views == NUM_VIEWS[name]
    for number, view in enumerate(views):
        assert isinstance(view, View)
        assert view.valid is None
        local = 2 if number >= NUM_GLOBAL else 1
        assert view.values.shape == (70, channels, side // local, side // local)
        assert view.values.dtype == torch.float32
        assert view.values.min() >= -1e-6
        assert view.values.max() <= 1 + 1e-6
        if local == 1:
            assert (name == "plain") == torch.allclose(view.values, images / 255)
    for one, two in pairwise(views):
        assert not torch.equal(one.values, two.values)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", ["mild", "two_mild", "contrastive", "multi_crop"])
def test_one_seed_gives_the_same_views_bit_by_bit(name):
    images = pixels(150, 3, 32)
    recipe = instantiate(CONFIG[name])
    first, again, other = (recipe(images, seeded(seed)) for seed in (7, 7, 8))
    for one, two, three in zip(first, again, other, strict=True):
        assert torch.equal(one.values, two.values)
        assert not torch.equal(one.values, three.values)


def test_the_global_source_is_used_without_a_generator():
    images = pixels(9, 3, 32)
    recipe = instantiate(CONFIG.contrastive)
    torch.manual_seed(3)
    first = recipe(images)
    torch.manual_seed(3)
    assert torch.equal(first[1].values, recipe(images)[1].values)


def test_a_generator_leaves_the_global_source_alone():
    images = pixels(9, 3, 32)
    state = torch.get_rng_state()
    instantiate(CONFIG.contrastive)(images, seeded(0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_chunks_do_not_change_a_view(chunk):
    images = pixels(90, 3, 32)
    ops = [ToFloat(), RandomResizedCrop(flip=0.5), ColourJitter(brightness=0.4, hue=0.1, p=0.8)]
    whole = Pipeline(ops, chunk=90)(images, seeded(5))
    parts = Pipeline(ops, chunk=chunk)(images, seeded(5))
    torch.testing.assert_close(parts, whole, atol=2e-6, rtol=0)


def test_floats_in_range_give_the_views_of_their_pixels():
    images = pixels(30, 3, 32)
    floats = ToFloat()(images)
    before = floats.clone()
    recipe = instantiate(CONFIG.contrastive)
    for one, two in zip(recipe(images, seeded(1)), recipe(floats, seeded(1)), strict=True):
        assert torch.equal(one.values, two.values)
    assert torch.equal(floats, before)


def test_views_may_differ_in_size():
    large = Pipeline([ToFloat(), RandomResizedCrop(size=32)])
    small = Pipeline([ToFloat(), RandomResizedCrop(size=16, scale=(0.05, 0.3))])
    sizes = [tuple(view.values.shape) for view in ImageViews([large, small])(pixels(5, 3, 40))]
    assert sizes == [(5, 3, 32, 32), (5, 3, 16, 16)]


def test_local_views_show_less_of_the_picture():
    ramp = torch.linspace(0, 1, 32).expand(200, 1, 32, 32)
    spans = [view.values.amax((1, 2, 3)) - view.values.amin((1, 2, 3)) for view in crops()(ramp)]
    least_global = min(span.min() for span in spans[:NUM_GLOBAL])
    most_local = max(span.max() for span in spans[NUM_GLOBAL:])
    # A side of a crop is sqrt(area x ratio), ratio in [3/4, 4/3].
    assert least_global > (0.5 * 3 / 4) ** 0.5 - 0.06
    assert most_local < (0.5 * 4 / 3) ** 0.5 + 0.06
    assert torch.stack(spans[NUM_GLOBAL:]).mean() < 0.65 < torch.stack(spans[:NUM_GLOBAL]).mean()


def crops():
    """The views of multi_crop without their colours."""
    views = instantiate(CONFIG.multi_crop).views
    return ImageViews([Pipeline(list(view.ops)[:2]) for view in views])


def test_an_empty_batch_stays_empty():
    assert instantiate(CONFIG.mild)(pixels(0, 3, 32))[0].values.shape == (0, 3, 32, 32)


def test_wrong_use_is_one_clear_sentence():
    with pytest.raises(ValueError, match="at least one view"):
        ImageViews([])
    with pytest.raises(ValueError, match="chunk"):
        Pipeline([], chunk=0)
    with pytest.raises(ValueError, match="ToFloat first"):
        Pipeline([RandomResizedCrop()])(pixels(2, 3, 32))
