"""The page "the instrument": from the study's data to one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gradbench.analyse.net import LEAST_LOOPS
from gradbench.analyse.summary import summarise
from gradbench.record.results import read_results
from gradbench.report.template import Link, put, render
from studies.instrument import analysis, figures, peers
from studies.instrument.findings import error, findings

# What the other tools were asked as well, in the page's order.
RATIOS = {
    "short/more": "one call more, short",
    "long/more": "one call more, long",
    "short/again": "identical code, short",
    "long/again": "identical code, long",
}


def numbers(data: Path) -> dict[str, Any]:
    """Every figure of the page, from the files in the folder `data`."""
    readings = peers.read(data / "peers.jsonl")
    return {
        "coverage": analysis.coverage(data / "simulation.jsonl"),
        "same": analysis.same(data / "same.jsonl.gz"),
        "known": {
            name: analysis.known(data / f"known-{name.replace(' ', '-').replace('µ', 'u')}.jsonl.gz")
            for name in ("10 µs", "50 µs", "250 µs")
        },
        "power": analysis.power(sorted(data.glob("power-*.jsonl.gz"))),
        "hidden": {name: analysis.hidden(data / f"hidden-{name}.jsonl.gz") for name in ("keep", "system")},
        "in_place": analysis.in_place(data / "in-place.jsonl.gz"),
        "evicted": analysis.after(data / "evicted.jsonl.gz"),
        "computed": analysis.after(data / "computed.jsonl.gz"),
        "order": analysis.order(data / "order.jsonl"),
        "peers": peers.figures(readings),
        "telemetry": analysis.explained(summarise(read_results(data / "loaded.jsonl.gz"))),
        "header": read_results(data / "same.jsonl.gz").header,
        "least_loops": LEAST_LOOPS,
    }


def write(data: Path, output: Path, site: Sequence[Link] = ()) -> None:
    """Build the page from the data; replaces it as a whole. As part of a site it has its navigation."""
    known = numbers(data)
    drawn = {
        "coverage": figures.coverage(known["coverage"]),
        "p": figures.p_values(known["same"]["p"]),
        "power": figures.power(known["power"]["curve"]),
        "in_place": figures.added(known["in_place"], "numel", "elements of x (4 bytes each)", 1),
        "evicted": figures.added(
            known["evicted"] + known["computed"], "seconds", "µs that the operation before it takes", 1e-6
        ),
        **{f"peers {ratio}": figures.peers(known["peers"], ratio) for ratio in RATIOS},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    put(
        render(
            "instrument.html",
            Path(__file__).parent,
            site=site,
            drawn=drawn,
            findings=findings(known),
            ratios=RATIOS,
            error=error,
            enough=peers.ENOUGH,
            **known,
        ),
        output,
    )
    # The same figures for programs, and for the eye of whoever doubts the page.
    plain = {key: value for key, value in known.items() if key != "header"}
    plain["same"] = {key: value for key, value in known["same"].items() if key != "p"}
    (output.parent / "figures.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=1) + b"\n"
    )
