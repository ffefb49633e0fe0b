"""Make the tables and figures of README and docs from docs/results, or check them (--check)."""

import sys
from pathlib import Path

from trivium.results.pages import changed

ROOT = Path(__file__).resolve().parents[1]


def main(root: Path = ROOT) -> None:
    paths = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    pages = {path: path.read_text(encoding="utf-8") for path in paths}
    stale = changed(pages, root / "docs" / "results")
    if "--check" not in sys.argv:
        for path, text in stale.items():
            path.write_text(text, encoding="utf-8")
    elif stale:
        names = ", ".join(str(path.relative_to(root)) for path in stale)
        sys.exit(f"not what docs/results says: {names}; run `python docs/results.py`")


if __name__ == "__main__":
    main()
