"""Write, per cell, which store it reads: a new dataset then repeats no other dataset's cells."""

import json
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    import hashlib

    grid = OmegaConf.load(ROOT / "outputs" / "cells" / "bind.yaml")
    folder = ROOT / "outputs" / "bound"
    folder.mkdir(parents=True, exist_ok=True)
    for cell in grid.cells:
        meta = ROOT / "outputs" / "stores" / cell.partition("-")[0] / "meta.json"
        content = json.dumps({"store": hashlib.sha256(meta.read_bytes()).hexdigest()}) + "\n"
        path = folder / f"{cell}.json"
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
    for path in folder.glob("*.json"):
        if path.stem not in grid.cells:
            path.unlink()


if __name__ == "__main__":
    main()
