"""Put the report's results into the README, or check that they are there (--check)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


def main() -> None:
    source, readme = ROOT / "outputs" / "report" / "results.md", ROOT / "README.md"
    if not source.is_file():
        sys.exit(f"there is no {source.relative_to(ROOT)}: run `make repro` first")
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n\n{source.read_text().strip()}\n\n{END}{after}"
    if "--check" not in sys.argv:
        readme.write_text(wanted)
    elif text != wanted:
        sys.exit("the README's results are not the report's: run `python docs/results.py`")


if __name__ == "__main__":
    main()
