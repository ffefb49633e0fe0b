"""Encoders from a folder, a run or the registry."""

from pathlib import Path

from trivium.types import Encoder

TOKENIZER = "tokenizer.json"
"""The file beside an encoder of text that turns texts into its ids."""


def load_encoder(source: str | Path) -> Encoder:
    """An encoder from a folder, an MLflow run (`runs:/ID/PATH`) or registry (`models:/NAME@ALIAS`).

    Returns:
        The encoder with its weights, in eval mode.

    Raises:
        FileNotFoundError: There is no encoder.
        ValueError: The encoder is damaged.
    """
    from trivium.encoders import checkpoint

    folder = find_encoder(source)
    encoder = checkpoint.load_encoder(folder)
    if (folder / TOKENIZER).is_file():
        encoder.tokenizer = (folder / TOKENIZER).read_text(encoding="utf-8")
    return encoder


def find_encoder(source: str | Path) -> Path:
    """The local folder of an encoder: a folder as it is, an MLflow URI downloaded.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if isinstance(source, str) and source.startswith(("runs:/", "models:/")):
        from trivium.tracking.query import download

        return download(source)
    if not Path(source).is_dir():
        raise FileNotFoundError(
            f"there is no run folder {source}: give a folder that holds encoder.safetensors, "
            "runs:/ID/encoder or models:/NAME@ALIAS"
        )
    return Path(source)
