"""The study as one command: `python -m studies.instrument`, or `make instrument`.

It takes about 50 minutes on two cores. It writes data, figures and the page to reports/instrument.
"""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import click

REPORTS = Path("reports/instrument")

# The module of each part, by name. Its `study(data, log)` measures, and writes into the folder `data`.
PARTS = {
    "simulation": "studies.instrument.simulation",
    "stopping": "studies.instrument.stopping",
    "clocks": "studies.instrument.clocks",
    "trials": "studies.instrument.trials",
    "order": "studies.instrument.order",
    "peers": "studies.instrument.peers.study",
}


@click.command()
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice([*PARTS, "page"]),
    help="Make only this part; the data of the others stay.  [default: all parts and the page]",
)
@click.option("--output", type=click.Path(path_type=Path), default=REPORTS, show_default=True)
def main(parts: tuple[str, ...], output: Path) -> None:
    """Measure the instrument, and write the page."""
    started = time.monotonic()

    def log(text: str) -> None:
        click.echo(f"{time.monotonic() - started:6.0f} s  {text}", err=True)

    data = output / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, module in PARTS.items():
        if not parts or name in parts:
            importlib.import_module(module).study(data, log)
    if not parts or "page" in parts:
        from studies.instrument import page
        from studies.publish.site import navigation

        published = output.resolve() == REPORTS.resolve()
        target = output / "index.html"
        page.write(data, target, navigation(REPORTS.parent, target) if published else ())
        log(f"page: {target}")


if __name__ == "__main__":
    main()
