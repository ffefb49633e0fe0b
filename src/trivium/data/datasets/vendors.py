"""The seven vendors of emoji drawings: which of their icons draws which emoji."""

from collections.abc import Iterator, Mapping, Sequence

from trivium.data.datasets.iconify import Drawing, Pack
from trivium.data.datasets.unicode_emoji import Emoji

VENDORS = (
    "noto",
    "noto-v1",
    "twemoji",
    "openmoji",
    "fluent-emoji-flat",
    "emojione",
    "emojione-v1",
)
"""Icon sets in the order in which one lends its names to those without code points."""
OLD_FLAG = "flag-for-"


def drawings_of(emoji: Sequence[Emoji], packs: Sequence[Pack]) -> Iterator[dict[str, Drawing]]:
    """Per vendor, from an emoji's code points to its drawing; an icon draws one emoji only.

    Three sets come without code points: their names are looked up in the other sets.

    Args:
        emoji: In Unicode's order; the first that asks for an icon gets it.
        packs: In the order of `VENDORS`.
    """
    lent: dict[str, str] = {}
    for pack in packs:
        for key, name in pack.chars.items():
            lent.setdefault(name, key)
    aliases = {
        alias: str(entry.get("parent")) for pack in packs for alias, entry in pack.aliases.items()
    }
    order = {one.key: position for position, one in enumerate(emoji)}
    for pack in packs:
        names = dict(pack.chars) or {
            lent_key: name
            for name in reversed(pack.names)  # so that the first name of an emoji stays
            if (lent_key := _lent(name, lent, aliases)) is not None
        }
        drawings: dict[str, Drawing] = {}
        taken = set()
        for key in sorted(names.keys() & order.keys(), key=order.__getitem__):
            drawing = pack.drawing(names[key])
            if drawing is not None and drawing.icon not in taken:
                taken.add(drawing.icon)
                drawings[key] = drawing
        yield drawings


def _lent(name: str, lent: Mapping[str, str], aliases: Mapping[str, str]) -> str | None:
    """Code points of a name by the other vendors' names: itself, its flag, or its alias."""
    tried = [name]
    if name.startswith(OLD_FLAG):
        plain = name.removeprefix(OLD_FLAG)
        # The plain name is tried for `flag-for-black-flag` only: Turkey's flag is no turkey.
        tried += [f"flag-{plain.removeprefix('flag-')}", *([plain] if "flag" in plain else [])]
    tried += [aliases[one] for one in tried if one in aliases]
    return next((lent[one] for one in tried if one in lent), None)
