"""Record goldens: python -m tests.numerics.record [COMPONENT...]; without names what lacks one."""

import sys
import tempfile
from pathlib import Path

from . import components, compute, golden


def main(wanted: list[str]) -> int:
    """Add entries; one that exists is never overwritten."""
    known = components.names()
    if unknown := [one for one in wanted if one not in known]:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for component in wanted or known:
            key, values = compute.measure(component, Path(folder))
            if not wanted and key in golden.read(component):
                continue
            try:
                golden.add(component, key, values)
                print(f"{component}: recorded {key}")
            except ValueError as error:
                print(error, file=sys.stderr)
                refused += 1
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
