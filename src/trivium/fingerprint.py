"""A digest of the code that a stage runs, so that an edit repeats exactly what it touches."""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "trivium"
SOURCE = Path(__file__).resolve().parent
WITHOUT_EFFECT = ("trivium.tracking",)
"""Packages that record numbers and never change them."""


def code_digest(modules: Iterable[str]) -> str:
    """Sixteen hexadecimal digits over the syntax trees of `modules` and all that they import.

    Only modules of this package count; comments, docstrings and formatting do not.

    Raises:
        ValueError: if there is no such module.
    """
    seen: dict[str, str] = {}
    waiting = sorted(set(modules))
    while waiting:
        name = waiting.pop()
        if name in seen or name.startswith(WITHOUT_EFFECT):
            continue
        seen[name], imported = _read(name)
        waiting += imported
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(seen.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _read(name: str) -> tuple[str, tuple[str, ...]]:
    """Digest of one module's syntax tree, and the package's modules that it imports."""
    path = _path(name)
    if path is None:
        raise ValueError(f"there is no module {name!r} in the package")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return digest, tuple(sorted(_imports(tree)))


def _imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == PACKAGE and _path(name) is not None}


def _path(name: str) -> Path | None:
    place = SOURCE.joinpath(*name.split(".")[1:])
    module = place.with_suffix(".py") if place != SOURCE else SOURCE / "__init__.py"
    for path in (module, place / "__init__.py"):
        if path.is_file():
            return path
    return None
