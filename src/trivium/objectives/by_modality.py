"""Settings that have a value for each modality."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from trivium.types import Modality

Value = TypeVar("Value")


def each(
    setting: Mapping[str, Value], name: str, modalities: Iterable[Modality]
) -> dict[Modality, Value]:
    """The values of a setting for these modalities; those of others are ignored.

    Raises:
        ValueError: There is none for one of them.
    """
    wanted = tuple(modalities)
    missing = [one for one in wanted if one not in setting]
    if missing:
        raise ValueError(
            f"objective.{name} has values for {', '.join(setting) or 'nothing'}, but none for "
            f"{', '.join(missing)}: set objective.{name}.{missing[0]}."
        )
    return {one: setting[one] for one in wanted}
