"""The study as one command: `python -m studies.instrument`, or `make instrument`.

It takes about 50 minutes on two cores, and leaves data, figures and the page under reports/instrument.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click

REPORTS = Path("reports/instrument")


def _simulation(data: Path, say: Callable[[str], None]) -> None:
    from studies.instrument import simulation

    simulation.study(data / "simulation.jsonl", say=say)


def _trials(data: Path, say: Callable[[str], None]) -> None:
    from studies.instrument import trials

    trials.study(data, say)


def _order(data: Path, say: Callable[[str], None]) -> None:
    from studies.instrument import order

    say("order: eight processes at each of four sizes")
    order.study(data / "order.jsonl")


def _peers(data: Path, say: Callable[[str], None]) -> None:
    from studies.instrument import peers

    peers.study(data / "peers.jsonl", say=say)


PARTS = {"simulation": _simulation, "trials": _trials, "order": _order, "peers": _peers}


@click.command()
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice([*PARTS, "page"]),
    help="Only this part; the others' data stay as they are.  [default: all, and the page]",
)
@click.option("--output", type=click.Path(path_type=Path), default=REPORTS, show_default=True)
def main(parts: tuple[str, ...], output: Path) -> None:
    """Measure the instrument, and write the page."""
    started = time.monotonic()

    def say(text: str) -> None:
        click.echo(f"{time.monotonic() - started:6.0f} s  {text}", err=True)

    data = output / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, part in PARTS.items():
        if not parts or name in parts:
            part(data, say)
    if not parts or "page" in parts:
        from studies.instrument import page
        from studies.publish.site import navigation

        published = output.resolve() == REPORTS.resolve()
        target = output / "index.html"
        page.write(data, target, navigation(REPORTS.parent, target) if published else ())
        say(f"page: {output / 'index.html'}")


if __name__ == "__main__":
    main()
