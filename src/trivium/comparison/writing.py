"""Files that are there completely or not at all."""

from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file atomically, its folder first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    partial.replace(path)
