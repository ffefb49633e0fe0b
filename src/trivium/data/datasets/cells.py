"""What the cells of a table hold: something encoded, a path to it, or captions."""

from collections.abc import Sequence
from typing import Any

from trivium.data.errors import DataError


def encoded_or_path(value: Any) -> bytes | str | None:
    """Encoded bytes, or else a path: either of them, or a struct of `bytes` and `path`.

    None where the cell holds neither.
    """
    found = value if isinstance(value, dict) else {"bytes": value}
    encoded, path = found.get("bytes"), found.get("path")
    if isinstance(encoded, bytes | str):
        return encoded
    return path if isinstance(path, str) else None


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing: null, an empty text, or a struct of such."""
    if isinstance(value, dict):
        return is_empty(value.get("bytes")) and is_empty(value.get("path"))
    return value is None or (isinstance(value, str | bytes) and not value.strip())


def captions(value: Any, name: str) -> list[str]:
    """The captions of a cell: one text or a list of them, without those that are empty.

    Raises:
        DataError: it holds something else; `name` says which cell.
    """
    listed = [*value] if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    for text in listed:
        if text is not None and not isinstance(text, str):
            raise DataError(f"{name} holds {value!r:.60}, which is no text")
    return [text.strip() for text in listed if text and text.strip()]
