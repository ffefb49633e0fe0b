"""Write, per cell, which store it reads: a new dataset then repeats no other dataset's cells."""

import json
import sys
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    import hashlib

    outputs = ROOT / (sys.argv[1] if len(sys.argv) > 1 else "outputs")
    grid = OmegaConf.load(outputs / "cells" / "bind.yaml")
    folder = outputs / "bound"
    folder.mkdir(parents=True, exist_ok=True)
    for cell in grid.cells:
        meta = ROOT / "outputs" / "stores" / cell.partition("-")[0].partition(".")[0] / "meta.json"
        content = json.dumps({"store": hashlib.sha256(meta.read_bytes()).hexdigest()}) + "\n"
        path = folder / f"{cell}.json"
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
    for path in folder.glob("*.json"):
        if path.stem not in grid.cells:
            path.unlink()


if __name__ == "__main__":
    main()
