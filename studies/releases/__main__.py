"""The study as one command: `python -m studies.releases ENVIRONMENT ENVIRONMENT …`.

Each environment has another release of torch, and this gradbench. The command compares all others with the
first. It also compares the last two, which shows whether the figures add up. Trials go into
reports/releases/data, beside existing trials. `python -m studies.publish` makes the pages from them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from gradbench.cli.main import main as gradbench
from gradbench.versus.records import FILENAME
from studies.files import compress

DATA = Path("reports/releases/data")


@click.command()
@click.argument("environments", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False))
@click.option("--budget", type=float, default=300.0, show_default=True, help="Seconds for each trial.")
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
def main(environments: tuple[str, ...], budget: float, data: Path) -> None:
    """Compare releases of torch with the first of them, one release in each environment."""
    if len(environments) < 2:
        raise click.UsageError("expected two environments or more")
    trials = [(environments[0], other) for other in environments[1:]]
    if len(environments) > 2:
        trials.append((environments[-2], environments[-1]))
    for one, other in trials:
        name = f"{Path(one).name}-to-{Path(other).name}"
        click.echo(name, err=True)
        trial(one, other, budget, data / name)


def trial(one: str, other: str, budget: float, folder: Path) -> None:
    """Run one trial, and compress its data into a folder. Raises FileExistsError if the folder has data."""
    copy = folder / f"{FILENAME}.gz"
    if copy.exists():
        raise FileExistsError(f"{copy}: expected no data; move it away to measure again")
    with TemporaryDirectory() as temporary:
        output = Path(temporary) / "trial"
        # The trial records this command of a user.
        sys.argv = ["gradbench", "versus", one, other, "--budget", f"{budget:g}", "--no-report"]
        try:
            gradbench([*sys.argv[1:], "--output", str(output)])
        except SystemExit as ended:
            if ended.code not in (0, 1):
                raise
        folder.mkdir(parents=True, exist_ok=True)
        compress((output / FILENAME).read_bytes(), copy)


if __name__ == "__main__":
    main()
