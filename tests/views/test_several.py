"""Views of samples of several modalities."""

import pytest
import torch

from trivium.views.image.convert import ToFloat
from trivium.views.recipe import Pipeline, Recipe
from trivium.views.several import SeveralRecipe
from trivium.views.text.deletion import TokenDeletion
from trivium.views.text.recipe import TextPipeline, TextRecipe

IMAGE = Recipe([Pipeline([ToFloat()])])


def test_texts_remember_which_were_equal_before_their_words_were_left_out():
    recipe = SeveralRecipe(
        {"image": IMAGE, "text": TextRecipe([TextPipeline([TokenDeletion(0.5)])])}
    )
    ids = torch.randint(4, 100, (2, 20)).repeat(2, 1)
    values = {"image": torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "text": ids}
    (view,) = recipe(
        values, torch.Generator().manual_seed(0), {"text": torch.ones(4, 20, dtype=torch.bool)}
    )
    image, text = view.values["image"], view.values["text"]
    assert not torch.equal(text.values[:2], text.values[2:])
    assert torch.equal(text.content[:2], text.content[2:])
    assert text.content[0] != text.content[1]
    assert image.content is None


def test_one_recipe_alone_or_different_numbers_of_views_are_refused():
    plain = TextPipeline([])
    with pytest.raises(ValueError, match="two or more"):
        SeveralRecipe({"image": IMAGE})
    with pytest.raises(ValueError, match="different numbers of views"):
        SeveralRecipe({"image": IMAGE, "text": TextRecipe([plain, plain])})
