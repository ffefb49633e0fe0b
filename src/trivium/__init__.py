"""Trivium: how do models learn, and which way of learning is worth its price?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trivium.features import embed, load_encoder

__all__ = ["embed", "load_encoder"]


def __getattr__(name: str) -> Any:
    """`load_encoder` and `embed`, imported when they are first used: torch is heavy."""
    if name in __all__:
        from trivium import features

        return getattr(features, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
