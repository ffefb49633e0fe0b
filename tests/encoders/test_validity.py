import torch

from trivium.encoders.layers import every_token, is_every_token


def test_made_and_sliced_masks_are_known_to_be_full():
    valid = every_token(torch.zeros(3, 5, 2))
    assert valid.shape == (3, 5)
    assert valid.all()
    assert is_every_token(valid)
    assert is_every_token(valid[:, :2])
    assert valid[:, :2].stride() == (0, 0)


def test_other_masks_are_looked_at():
    valid = torch.ones(2, 3, dtype=torch.bool)
    assert is_every_token(valid)
    valid[1, 2] = False
    assert not is_every_token(valid)
