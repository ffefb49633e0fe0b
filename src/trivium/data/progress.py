"""What `prepare` shows while it works."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def announce(text: str) -> None:
    """One line for the person who waits."""
    from rich.console import Console

    Console(file=sys.stderr).print(text, highlight=False, markup=False, soft_wrap=True)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Go through `items` behind a progress bar on stderr (a line, where it is no terminal)."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(file=sys.stderr)
    yield from rich_track(items, description, total=total, console=console)
