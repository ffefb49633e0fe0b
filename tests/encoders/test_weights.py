import pytest
import torch
from safetensors.torch import load
from torch import nn

from trivium.encoders.checkpoint import from_bytes, to_bytes


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 4, bias=False)
        self.unembed = nn.Linear(4, 4, bias=False)
        self.unembed.weight = self.embed.weight
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


def test_equal_weights_give_equal_bytes_and_come_back():
    module, other = Tied(), Tied()
    module.count += 3
    assert to_bytes(module) == to_bytes(module)
    assert to_bytes(module) != to_bytes(other)
    from_bytes(other, to_bytes(module))
    assert to_bytes(other) == to_bytes(module)
    assert torch.equal(other.embed.weight, module.embed.weight)
    assert other.count == 3


def test_shared_tensors_are_stored_once_and_stay_shared():
    assert set(load(to_bytes(Tied()))) == {"embed.weight", "count"}
    module = Tied()
    from_bytes(module, to_bytes(Tied()))
    assert module.unembed.weight is module.embed.weight


def test_precision_comes_back():
    module = nn.Linear(3, 2)
    from_bytes(module, to_bytes(nn.Linear(3, 2).bfloat16()))
    assert module.weight.dtype == torch.bfloat16


def test_memory_format_does_not_matter():
    module = nn.Conv2d(3, 4, 3)
    expected = to_bytes(module)
    assert to_bytes(module.to(memory_format=torch.channels_last)) == expected


@pytest.mark.parametrize("keep", [0, 20, -1], ids=["empty", "header", "last byte"])
def test_damaged_bytes(keep):
    with pytest.raises(ValueError, match="the weights are damaged"):
        from_bytes(nn.Linear(3, 2), to_bytes(nn.Linear(3, 2))[:keep])


def test_missing_unexpected_and_misshapen_tensors():
    plain, biased = nn.Linear(3, 2, bias=False), nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"fit 1 of .* 2 tensors \(missing: bias; unexpected: no"):
        from_bytes(biased, to_bytes(plain))
    with pytest.raises(ValueError, match=r"fit 1 of .* 1 tensors \(missing: none; unexpected: b"):
        from_bytes(plain, to_bytes(biased))
    with pytest.raises(ValueError, match="fit 0 of"):
        from_bytes(plain, to_bytes(nn.Sequential(plain)))
    with pytest.raises(ValueError, match=r"weight has shape \(2, 4\) in the weights but \(2, 3\)"):
        from_bytes(plain, to_bytes(nn.Linear(4, 2, bias=False)))
