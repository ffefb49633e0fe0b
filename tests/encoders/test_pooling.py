import pytest
import torch
from torch.nn import functional as F

from trivium.encoders.layers import cell_of, grid_pool, mean_pool, pool


def test_mean_counts_valid_tokens_only():
    tokens = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [4.0], [6.0]]])
    valid = torch.tensor([[True, True, False], [True, True, True]])
    assert mean_pool(tokens, valid).tolist() == [[2.0], [4.0]]
    torch.testing.assert_close(mean_pool(tokens, None), tokens.mean(1))


def test_both_concatenates_cls_and_mean():
    tokens, cls = torch.randn(2, 3, 4), torch.randn(2, 4)
    assert torch.equal(pool("mean", tokens, None, None), tokens.mean(1))
    assert torch.equal(pool("cls", tokens, cls, None), cls)
    assert torch.equal(pool("both", tokens, cls, None), torch.cat([cls, tokens.mean(1)], 1))


@pytest.mark.parametrize(("plane", "side"), [((8, 8), 4), ((6, 12), 3), ((4, 4), 4), ((7, 5), 1)])
def test_cells_of_a_whole_grid_are_adaptive_average_pooling(plane, side):
    rows, columns = plane
    tokens = torch.randn(2, rows * columns, 5)
    found = grid_pool(
        tokens, cell_of(torch.arange(rows * columns)[None], plane, side), side**2, None
    )
    maps = tokens.transpose(1, 2).reshape(2, 5, rows, columns)
    expected = F.adaptive_avg_pool2d(maps, side).flatten(2).transpose(1, 2).flatten(1)
    torch.testing.assert_close(found, expected)


def test_a_cell_is_the_mean_of_its_valid_tokens_or_zeros():
    tokens = torch.tensor([[[1.0], [3.0], [torch.nan], [7.0]]])
    valid = torch.tensor([[True, True, False, True]])
    cells = torch.tensor([[2, 2, 0, 0]])
    assert grid_pool(tokens, cells, 4, valid).tolist() == [[7.0, 0.0, 2.0, 0.0]]
