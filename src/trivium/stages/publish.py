"""Publish what a report found as files under docs/results/VERSION."""

from pathlib import Path

from trivium.config import Config
from trivium.grid import Grid
from trivium.stages.compare import report_folder


def main(values: Config) -> None:
    """Publish the data sets of a grid's report; what was published of others stays."""
    from trivium.results.files import read_results, write_results
    from trivium.results.merge import merged
    from trivium.results.publish import published
    from trivium.results.verify import reruns
    from trivium.tracking.environment import environment

    grid = Grid(values["grid"])
    folder = Path(values["results"]) / str(values["version"])
    found = published(
        report_folder(values),
        grid=grid.name,
        made=reruns(grid),
        environment=environment(),
        datasets=values["datasets"],
    )
    grid.compositions.save()
    before = read_results(folder) if (folder / "environment.json").is_file() else None
    results = merged(before, found)
    write_results(results, folder)
    print(f"Published {', '.join(found.parts)}: {len(results.records)} records in {folder}")
    print("README and docs show them after: python docs/results.py")
