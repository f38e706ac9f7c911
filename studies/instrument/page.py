"""The page "the instrument": from the study's data to one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench.analyse.visits import LEAST_LOOPS
from gradbench.record.results import read_results
from gradbench.report.template import Link, put, render
from studies.files import STUDIES, read_records, write_json
from studies.instrument import analysis, clocks, figures, order, simulation, stopping, trials
from studies.instrument.findings import answer, error, findings
from studies.instrument.peers import study as peers
from studies.instrument.peers.figures import ENOUGH
from studies.instrument.peers.figures import figures as peers_figures
from studies.instrument.peers.tool import Reading
from studies.instrument.simulation import Coverage

# The ratios that every tool measured, in the order of the page.
RATIOS = {
    "short/more": "one call more, short",
    "long/more": "one call more, long",
    "short/again": "identical code, short",
    "long/again": "identical code, long",
}


def numbers(data: Path) -> dict[str, Any]:
    """All figures of the page, from the files in the folder `data`."""

    def trial(name: str) -> Path:
        return data / trials.filename(name)

    identical = read_results(trial("same"))
    return {
        "coverage": read_records(data / simulation.FILENAME, Coverage),
        "clocks": analysis.clocks(read_records(data / clocks.FILENAME, clocks.Clocked)),
        "stopping": analysis.stopping(read_records(data / stopping.FILENAME, stopping.Stopped)),
        "stopping_of": stopping.COMPARISONS,
        "same": analysis.same(identical),
        "known": {name: analysis.known(trial(f"known {name}")) for name in ("10 µs", "50 µs", "250 µs")},
        "power": analysis.power(sorted(data.glob(trials.filename("power *")))),
        "hidden": {name: analysis.hidden(trial(f"hidden {name}")) for name in ("keep", "system")},
        "in_place": analysis.in_place(trial("in place")),
        "evicted": analysis.after(trial("evicted")),
        "computed": analysis.after(trial("computed")),
        "order": analysis.order(data / order.FILENAME),
        "peers": peers_figures(read_records(data / peers.FILENAME, Reading)),
        "telemetry": analysis.explained(read_results(trial("loaded"))),
        "header": identical.header,
        "least_loops": LEAST_LOOPS,
    }


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> str:
    """Build the page from the data, replace the old page, and return the answer in one sentence.

    `site` holds the links of the site that the page is part of.
    """
    known = numbers(data)
    errors = figures.errors_of(known["peers"])
    drawn = {
        "errors": figures.errors(errors),
        "errors narrow": figures.errors(errors, narrow=True),
        "coverage": figures.coverage(known["coverage"]),
        "p": figures.p_values(known["same"]["p"]),
        "power": figures.power(known["power"]["curve"]),
        "in_place": figures.added(known["in_place"], "numel", "elements of x (4 bytes each)", 1),
        "evicted": figures.added(
            known["evicted"] + known["computed"], "seconds", "µs that the operation before it takes", 1e-6
        ),
        **{f"peers {ratio}": figures.peers(known["peers"], ratio) for ratio in RATIOS},
    }
    found = answer(known)
    output.parent.mkdir(parents=True, exist_ok=True)
    put(
        render(
            "instrument.html",
            Path(__file__).parent,
            STUDIES,
            site=site,
            answer=found,
            errors=errors,
            drawn=drawn,
            findings=findings(known),
            ratios=RATIOS,
            error=error,
            enough=ENOUGH,
            **known,
        ),
        output,
    )
    # Programs, and readers who doubt the page, find the same figures here.
    plain = {key: value for key, value in known.items() if key != "header"}
    plain["same"] = {key: value for key, value in known["same"].items() if key != "p"}
    write_json(output.parent / "figures.json", plain, sort=True)
    return found
