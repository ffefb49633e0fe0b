import pytest
import torch
from lightly.models.utils import get_2d_sine_cosine_positional_embedding
from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

from trivium.encoders.layers import sincos_2d


@pytest.mark.parametrize(("width", "side"), [(8, 1), (64, 7), (192, 8)])
def test_agrees_with_the_mae_reference(width, side):
    # lightly 1.6.0 holds the reference code of MAE (util/pos_embed.py).
    expected = get_2d_sine_cosine_positional_embedding(width, side, cls_token=False)
    torch.testing.assert_close(
        sincos_2d(width, (side, side)), torch.as_tensor(expected).float(), atol=1e-6, rtol=0
    )


def test_agrees_with_transformers_on_oblong_grids_but_for_the_order_of_the_axes():
    # transformers 5.23 puts the row's half first, the reference the column's.
    expected = build_2d_sinusoidal_position_embedding(3, 5, 32)
    swapped = torch.cat([expected[:, 16:], expected[:, :16]], dim=1)
    torch.testing.assert_close(sincos_2d(32, (3, 5)), swapped, atol=1e-6, rtol=0)


def test_width_must_be_a_multiple_of_four():
    with pytest.raises(ValueError, match="multiple of 4, but got 30"):
        sincos_2d(30, (2, 2))
