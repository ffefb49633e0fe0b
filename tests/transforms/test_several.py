"""Views of samples of several modalities."""

import pytest
import torch

import pairs as small
from trivium.objectives.pairs import Pairs
from trivium.transforms.image.pixels import ToFloat
from trivium.transforms.image.recipe import ImageViews, Pipeline
from trivium.transforms.multimodal import MultimodalViews
from trivium.transforms.text import TextPipeline, TextViews, TokenDeletion

IMAGE = ImageViews([Pipeline([ToFloat()])])


def test_views_know_the_whole_inputs_that_they_were_made_from():
    recipe = MultimodalViews(
        {"image": IMAGE, "text": TextViews([TextPipeline([TokenDeletion(0.5)])])}
    )
    ids = torch.randint(4, 50, (2, 12)).repeat(2, 1)
    values = {"image": torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "text": ids}
    (view,) = recipe(
        values, torch.Generator().manual_seed(0), {"text": torch.ones(4, 12, dtype=torch.bool)}
    )
    image, text = view.values["image"], view.values["text"]
    assert not torch.equal(text.values[:2], text.values[2:])
    assert torch.equal(text.original, ids)
    # As CLIP tells texts apart: equal ones were equal before their words were left out.
    hashes = Pairs(small.spec("image", "text"), None).hash(text)
    assert torch.equal(hashes[:2], hashes[2:])
    assert hashes[0] != hashes[1]
    assert torch.equal(image.original, values["image"])


def test_one_recipe_alone_or_different_numbers_of_views_are_refused():
    plain = TextPipeline([])
    with pytest.raises(ValueError, match="two or more"):
        MultimodalViews({"image": IMAGE})
    with pytest.raises(ValueError, match="different numbers of views"):
        MultimodalViews({"image": IMAGE, "text": TextViews([plain, plain])})
