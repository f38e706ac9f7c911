"""The price of a no_grad() block after small and large work, for the documents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gradbench import format
from gradbench.errors import RequestError
from gradbench.record.interval import Interval
from gradbench.report.glance import Glance, glance_of
from studies.files import read_analysis

# As many rows after reading memory, from little to much.
READS = 4


def large_work(run: Path, study: Path) -> str:
    """A sentence and a table, in Markdown.

    Args:
        run: the results file of a run of methods.
        study: the figures of the study of the instrument.

    Raises RequestError where one of them has no price of a block.
    """
    glance = glance_of(read_analysis(run))
    numbers = msgspec.json.decode(study.read_bytes())
    around = list(_around(glance)) if glance else []
    after = list(_after(numbers))
    if glance is None or glance.empty_block is None or not around or not after:
        raise RequestError(
            f"{run}, {study}: expected prices of no_grad() blocks; publish a standard run and the study"
        )
    empty = format.seconds(glance.empty_block)
    _, work, price = around[-1]
    rows = [
        ("none: an empty block in a loop", "", empty),
        *((name, format.seconds(work), with_ends(price)) for name, work, price in (*around, *after)),
    ]
    return "\n".join(
        [
            f"**An empty no_grad() block takes {empty}. "
            f"Around {format.seconds(work)} of work, it adds {with_ends(price)}.**",
            "",
            "| the work | its time | the block adds (95 % interval) |",
            "| --- | ---: | ---: |",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
    )


def with_ends(price: Interval) -> str:
    """Seconds with their interval: 50.8 µs (26.1 µs to 72.9 µs)."""
    return f"{format.seconds(price.mean)} ({format.seconds(price.low)} to {format.seconds(price.high)})"


def _around(glance: Glance) -> Iterator[tuple[str, float, Interval]]:
    """Work of the run, its time, and the price of a block around it.

    The longest work of every power of ten is there.
    """
    longest = {}
    for each in glance.comparisons:
        variant, time = each.variant("no_grad"), each.baseline.time
        if variant and variant.verdict == "slower" and variant.extra and time:
            plan = each.comparison
            name = f"`{plan.workload}`, {format.counted(plan.numel, 'element')}, inside the block"
            longest[math.floor(math.log10(time.mean))] = name, time.mean, variant.extra
    yield from longest.values()


def _after(numbers: dict[str, Any]) -> Iterator[tuple[str, float, Interval]]:
    """Operations of the study, their time, and the price of a block after them: reading, and computing."""
    reads = [
        (f"reading {format.size(each['bytes'])}, before the block", each["seconds"], price)
        for each in numbers["evicted"]
        for price in [msgspec.convert(each["added"]["no_grad after reading"], Interval)]
        # An interval that contains 0 shows no price.
        if price.low is not None and price.low > 0
    ]
    yield from reads[-READS:]
    for each in numbers["computed"][-1:]:
        price = msgspec.convert(each["added"]["no_grad after computing"], Interval)
        yield f"computing on {format.size(each['bytes'])}, before the block", each["seconds"], price
