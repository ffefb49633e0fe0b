"""A module's weights as bytes and back: no pickles, aliases stored once."""

import json
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn


def to_bytes(module: nn.Module) -> bytes:
    """Serialise a module's parameters and persistent buffers in the safetensors format.

    Equal weights give equal bytes. Tensors that share their memory are stored once, under the
    first of their names.
    """
    state = module.state_dict()
    first = _aliases(state)
    return save(
        {
            key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, tensor in state.items()
            if first[key] == key
        }
    )


def from_bytes(module: nn.Module, content: bytes) -> None:
    """Fill a module with weights that `to_bytes` wrote, in their stored precision.

    Raises:
        ValueError: If the bytes are damaged, or names or shapes are not the module's.
    """
    try:
        stored = load(content)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"the weights are damaged ({error}): copy or train them again.") from error
    state = module.state_dict()
    first = _aliases(state)
    _check(stored, {key: tensor for key, tensor in state.items() if first[key] == key})
    precisions = {tensor.dtype for tensor in stored.values() if tensor.is_floating_point()}
    if len(precisions) == 1:
        module.to(precisions.pop())
    module.load_state_dict({key: stored[first[key]] for key in state})


def _check(stored: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing, unexpected = sorted(expected.keys() - stored), sorted(stored.keys() - expected)
    if missing or unexpected:
        matching = len(expected) - len(missing)
        raise ValueError(
            f"the weights fit {matching} of the encoder's {len(expected)} tensors "
            f"(missing: {_few(missing)}; unexpected: {_few(unexpected)}): "
            "they were made by another encoder or another version of it."
        )
    wrong = [key for key in expected if stored[key].shape != expected[key].shape]
    if wrong:
        key = wrong[0]
        raise ValueError(
            f"{key} has shape {tuple(stored[key].shape)} in the weights but "
            f"{tuple(expected[key].shape)} in the encoder: they describe different sizes."
        )


def _aliases(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Each name's first name: its own, unless an earlier tensor occupies the same memory."""
    first: dict[object, str] = {}
    return {key: first.setdefault(_place(key, state[key]), key) for key in sorted(state)}


def _place(key: str, tensor: Tensor) -> object:
    if tensor.numel() == 0:
        return key
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:3]) or "none"
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
