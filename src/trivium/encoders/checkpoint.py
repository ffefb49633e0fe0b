"""Encoders on disk: weights without pickles, and the few facts that build them again.

A folder holds `encoder.safetensors` (the weights) and `encoder.yaml`: `format`, `class`,
`arguments`, `data` (the DataSpec), `facts`, and `sha256` of the weights.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trivium.encoders.named import encoder_class
from trivium.encoders.weights import from_bytes, to_bytes
from trivium.types import DataSpec, Encoder

FORMAT = 1
WEIGHTS = "encoder.safetensors"
DESCRIPTION = "encoder.yaml"
KEYS = frozenset({"format", "class", "arguments", "data", "facts", "sha256"})


def save_encoder(encoder: Encoder, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write an encoder to a folder: the same weights and facts give the same bytes.

    Args:
        encoder: The encoder; its `arguments` and weights are stored.
        folder: Where to; made if it is missing.
        facts: Plain values to keep beside the weights (dataset, objective, seed, ...).

    Raises:
        ValueError: If the facts or arguments hold anything else than plain values.
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
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / WEIGHTS, content)
    _write(folder / DESCRIPTION, text.encode())


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


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a killed process leaves the old one or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
