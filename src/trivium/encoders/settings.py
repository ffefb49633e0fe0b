"""Settings of other libraries' models, as they are saved."""

from collections.abc import Mapping, Sequence
from typing import Any


def plain(value: Any) -> Any:
    """Maps and lists of a configuration as plain ones, which can be saved."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value
