"""Sends the journals that a dead tracking store left behind: `python -m trivium.tracking.spool`."""

import argparse
from pathlib import Path

from trivium.tracking.client import journal_root, project_root
from trivium.tracking.delivery import deliver
from trivium.tracking.journal import FILE, Journal


def send_spool(folder: Path) -> bool:
    """Deliver what the journal in a run's folder still holds; whether there was anything to send.

    Raises:
        Exception: whatever the tracking store raised, if it is still dead; nothing is lost.
    """
    journal = Journal(folder)
    if journal.complete:
        return False
    deliver(journal)
    return True


def find_spools() -> list[Path]:
    """The folders under `outputs/` and `mlruns/` whose journals are not delivered."""
    places = (project_root() / "outputs", journal_root())
    folders = [file.parent for place in places for file in place.rglob(FILE)]
    return sorted(folder for folder in folders if not Journal(folder).complete)


def main() -> None:
    """Send the given folders' journals, or all that are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="run folders; all by default")
    folders = parser.parse_args().folders or find_spools()
    for folder in folders:
        send_spool(folder)
        print(f"sent {folder}")
    if not folders:
        print("nothing to send")


if __name__ == "__main__":
    main()
