"""The study, a command for each tool: `python -m studies.regressions asv`, and `versus`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

DATA = Path("reports/regressions/data")

_log = partial(click.echo, err=True)
_output = click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=DATA, show_default=True
)


@click.group()
def main() -> None:
    """Make regressions, and record whether a tool finds them."""


@main.command()
@click.option(
    "--comparisons", type=click.IntRange(1), default=20, show_default=True, help="Pairs of identical commits."
)
@click.option("--changed", type=click.IntRange(1), default=3, show_default=True, help="Slower commits.")
@click.option(
    "--bench", default="Square.track_(ratio|saved)", show_default=True, help="Benchmarks to run, as for asv."
)
@click.option("--budget", type=int, default=75, show_default=True, help="Seconds of a run at each commit.")
@_output
def asv(comparisons: int, changed: int, bench: str, budget: int, output: Path) -> None:
    """Try asv on identical commits, 5 % in Square.backward, and 64 bytes more saved; half an hour."""
    from studies.regressions import asv_trials

    output.mkdir(parents=True, exist_ok=True)
    asv_trials.study(output, comparisons, changed, bench, budget, _log)


@main.command()
@click.option(
    "--identical", type=click.IntRange(1), default=20, show_default=True, help="Pairs of identical commits."
)
@click.option(
    "--changed",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Trials of a slower commit, made twice.",
)
@click.option("--budget", type=int, default=60, show_default=True, help="Seconds of each trial.")
@_output
def versus(identical: int, changed: int, budget: int, output: Path) -> None:
    """Try versus on identical commits, 5 % in Square.backward, and 64 bytes more saved; half an hour."""
    from studies.regressions import versus_trials

    output.mkdir(parents=True, exist_ok=True)
    versus_trials.study(output, identical, changed, budget, _log)


if __name__ == "__main__":
    main()
