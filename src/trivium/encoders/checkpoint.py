"""Encoders on disk: weights without pickles, and the facts that build them again."""

import hashlib
import importlib
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from trivium.io import write_bytes
from trivium.types import DataSpec, Encoder


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


CLASS = re.compile(r"(trivium\.encoders(?:\.[a-z][a-z0-9_]*)+)\.([A-Z][A-Za-z0-9]*)")


def encoder_class(path: str) -> type[Any]:
    """The class below trivium.encoders of a dotted path; nothing else is importable.

    Raises:
        ValueError: It is no encoder of trivium.encoders.
    """
    match = CLASS.fullmatch(path)
    if match and importlib.util.find_spec(match[1]):
        found = vars(importlib.import_module(match[1])).get(match[2])
        if isinstance(found, type) and issubclass(found, Encoder) and found.__module__ == match[1]:
            return found
    raise ValueError(f"{path!r} is no encoder of trivium.encoders")


FORMAT = 1
WEIGHTS = "encoder.safetensors"
DESCRIPTION = "encoder.yaml"
KEYS = frozenset({"format", "class", "arguments", "data", "facts", "sha256"})


def save_encoder(encoder: Encoder, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write an encoder to a folder: the same weights and facts give the same bytes.

    `facts` are plain values to keep beside the weights (dataset, objective, seed, ...).

    Raises:
        ValueError: The facts or arguments hold anything else than plain values.
    """
    content = to_bytes(encoder)
    arguments = dict(encoder.arguments)
    description = {
        "format": FORMAT,
        "class": f"{type(encoder).__module__}.{type(encoder).__qualname__}",
        "data": arguments.pop("data"),
        "arguments": arguments,
        "facts": dict(facts),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    try:
        text = yaml.safe_dump(description, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        raise ValueError(
            f"facts and arguments must be plain values (text, numbers, lists, maps): {error}"
        ) from error
    write_bytes(folder / WEIGHTS, content)
    write_bytes(folder / DESCRIPTION, text.encode())


def load_encoder(folder: Path) -> Encoder:
    """Build the encoder that `save_encoder` wrote, with its weights, in eval mode.

    Raises:
        FileNotFoundError: If the folder holds no encoder.
        ValueError: If a file is damaged, or weights and description do not belong together.
    """
    description = _describe(folder)
    content = _read(folder / WEIGHTS)
    if hashlib.sha256(content).hexdigest() != description["sha256"]:
        raise ValueError(
            f"{folder / WEIGHTS} is not the file that {DESCRIPTION} was written with: "
            "it is damaged or was replaced; copy or train it again."
        )
    encoder = _build(description, folder)
    try:
        from_bytes(encoder, content)
    except ValueError as error:
        raise ValueError(f"{folder / WEIGHTS}: {error}") from error
    return encoder.eval()


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts that were saved beside an encoder.

    Raises:
        FileNotFoundError: If the folder holds no encoder.
        ValueError: If the description is damaged.
    """
    facts: dict[str, Any] = _describe(folder)["facts"]
    return facts


def checkpoint_hash(folder: Path) -> str:
    """sha256 over what decides an encoder's features: weights and architecture, not the facts.

    Raises:
        FileNotFoundError: If the folder holds no encoder.
        ValueError: If the description is damaged.
    """
    description = _describe(folder)
    architecture = {key: description[key] for key in ("format", "class", "arguments", "data")}
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode())
    digest.update(hashlib.sha256(_read(folder / WEIGHTS)).digest())
    return digest.hexdigest()


def _build(description: Mapping[str, Any], folder: Path) -> Encoder:
    constructor = _encoder_class(str(description["class"]), folder)
    arguments = description["arguments"]
    if arguments.get("pretrained"):
        raise ValueError(f"{folder / DESCRIPTION} asks for pretrained weights besides its own.")
    try:
        encoder: Encoder = constructor(DataSpec.of(description["data"]), **arguments)
        return encoder
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / DESCRIPTION} does not describe an encoder of this version: {error}"
        ) from error


def _encoder_class(path: str, folder: Path) -> type[Any]:
    """The class below trivium.encoders that a description names; nothing else is importable."""
    try:
        return encoder_class(path)
    except ValueError as error:
        raise ValueError(
            f"{folder / DESCRIPTION} names the class {path!r}, which is no encoder of "
            "trivium.encoders: load only what save_encoder wrote."
        ) from error


def _describe(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    try:
        description = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no readable yaml file: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not in format {FORMAT} of encoder descriptions: "
            "it is damaged or comes from another version of trivium."
        )
    if description.keys() != KEYS or not all(
        isinstance(description[key], dict) for key in ("arguments", "data", "facts")
    ):
        raise ValueError(f"{path} must hold exactly {sorted(KEYS)}: it is damaged.")
    return description


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} does not exist: give a folder that save_encoder wrote (a run's folder)."
        ) from error
