"""An encoder's class from its dotted path, and nothing else."""

import importlib
import importlib.util
import re
from typing import Any

from trivium.types import Encoder

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
