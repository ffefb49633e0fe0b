"""Write docs/objectives.md from the objectives' yamls and docstrings, or check it (--check)."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hydra.utils import get_class
from omegaconf import OmegaConf

from trivium.config import register

ROOT = Path(__file__).resolve().parents[1]
PARADIGMS = ("supervised", "unsupervised", "self_supervised", "control")
PAPER = re.compile(r"arXiv (\d{4}\.\d{4,5})|doi\s+(10\.[^\s,;:)]+)")
HEADER = """# Objectives

Written by `python docs/objectives.py` from each objective's yaml and docstring, where the formula
and the reference implementation are, too. *Of*: the modalities in which it makes sense (*several*:
samples of several modalities together). *Needs*: what a dataset, an encoder and a views recipe must
offer; a combination that does not is refused before anything is loaded.
"""
WITH_DATA = {"image": "image", "text": "text", "audio": "audio", "several": "image+text+audio"}


def page() -> str:
    """All objectives by paradigm."""
    parts = [HEADER]
    for paradigm in PARADIGMS:
        files = sorted((ROOT / "conf" / "objective" / paradigm).glob("*.yaml"))
        parts.append(f"\n## {paradigm.replace('_', '-').capitalize()}\n")
        parts.append(
            "| objective | title | what it does | of | needs | views | paper |\n" + "|-" * 7 + "|"
        )
        parts += [row(path) for path in files]
    return "\n".join(parts) + "\n"


def row(path: Path) -> str:
    """One objective."""
    kind: Any = get_class(OmegaConf.load(path).objective._target_)
    needs = kind.needs
    words = [word for word in ("labels", "tokens", "target") if getattr(needs, word)]
    if needs.num_views > 1 or needs.more_views:
        words.append(f"{needs.num_views}{'+' if needs.more_views else ''} views")
    if needs.causal is not None:
        words.append("a causal encoder" if needs.causal else "an encoder of both directions")
    if needs.packed:
        words.append("packed texts")
    module = inspect.getmodule(kind)
    what = (module.__doc__ or "").strip().splitlines()[0].partition(": ")[2] if module else ""
    found = PAPER.search(inspect.getdoc(kind) or "")
    paper = ""
    if found:
        arxiv, doi = found.groups()
        link = f"https://arxiv.org/abs/{arxiv}" if arxiv else f"https://doi.org/{doi}"
        paper = f"[{arxiv or unquote(doi)}]({link})"
    return (
        f"| `{path.parent.name}/{path.stem}` | {kind.title} | {what} | "
        f"{', '.join(needs.modalities)} | "
        f"{', '.join(words) or '-'} | {views(path, needs.modalities)} | {paper} |"
    )


def views(path: Path, modalities: tuple[str, ...]) -> str:
    """The recipe of each modality, once where they agree."""
    found: dict[str, list[str]] = {}
    for kind, modality in WITH_DATA.items():
        if kind in modalities:
            config = OmegaConf.merge(OmegaConf.load(path), {"data": {"modality": modality}})
            chosen = config.objective_views
            if not isinstance(chosen, str):
                return ", ".join(f"`{recipe}` ({one})" for one, recipe in chosen.items())
            found.setdefault(chosen, []).append(kind)
    if len(found) == 1:
        return f"`{next(iter(found))}`"
    return ", ".join(f"`{recipe}` ({', '.join(names)})" for recipe, names in found.items())


def main() -> None:
    register()
    target, wanted = ROOT / "docs" / "objectives.md", page()
    if "--check" not in sys.argv:
        target.write_text(wanted)
    elif not target.is_file() or target.read_text() != wanted:
        sys.exit("docs/objectives.md is not up to date: run `python docs/objectives.py`")


if __name__ == "__main__":
    main()
