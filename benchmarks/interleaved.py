"""The figures that judge regressions: ratios from interleaved passes, and exact bytes.

asv measures one
benchmark, and one commit, after another, and the speed of a shared machine drifts by more than a regression.
So the numbers come from a run of gradbench, by the installed command of the commit under test and its
documented table. A variant and its baseline take turns there every 50 µs, in many fresh processes.

asv compares such numbers by a factor alone. A run ends once every interval is within ±1 % (at 95 %). That is
a standard deviation of 0.5 %, and the difference of two runs then has 0.7 %. So 3 % are four standard
deviations, which identical commits should not reach, and 5 % lie nearly three above that. So the command is
`asv continuous --show-stderr --factor 1.03 --bench interleaved`. Without `--show-stderr` asv does not mention
a number that is unknown.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from gradbench.define.metrics import metrics
from gradbench.record.metric import Metric

from .cells import ADDED, CONTROLS, CUSTOM, SQUARE, Cells

# Half the width of an interval: the goal of a run, and the widest that is good enough for a factor of 1.03. A
# ratio with a wider interval is reported as unknown.
WANTED, WIDEST = 0.01, 0.015
BUDGET = os.environ.get("GRADBENCH_ASV_BUDGET", "75")

Table = dict[tuple[str, str, str], dict[str, str]]


def measure(cells: Cells) -> Table:
    """The rows of `gradbench export` by cell, variant and metric, of one run of at most BUDGET seconds."""
    asked = cells.request
    # The command of the environment that asv has made for the commit.
    gradbench = Path(sysconfig.get_path("scripts")) / "gradbench"
    with tempfile.TemporaryDirectory() as folder:
        run, table = Path(folder, "run"), Path(folder, "table.csv")
        options = {
            "--preset": "quick",
            "--workload": ",".join(asked.workloads),
            "--method": ",".join(asked.methods),
            "--size": ",".join(asked.sizes),
            "--precision": f"{100 * WANTED:g}",
            "--budget": BUDGET,
            "--output": run,
        }
        for arguments in (
            ["run", "--no-report", *itertools.chain(*options.items())],
            ["export", run, "--to", "csv", "--output", table],
        ):
            subprocess.run([sys.executable, gradbench, *arguments], cwd=folder, check=True)
        return by_cell(table.read_text())


def by_cell(text: str) -> Table:
    """The table of `gradbench export`, by cell, variant and metric."""
    rows = csv.DictReader(io.StringIO(text))
    return {(f"{row['workload']}/{row['numel']}", row["method"], row["metric"]): row for row in rows}


def _number(table: Table, cell: str, variant: str, metric: str, column: str = "value") -> float:
    """The value in the table; NaN, which asv shows as unknown, where the table has none."""
    text = table.get((cell, variant, metric), {}).get(column, "")
    return float(text) if text else math.nan


def _ratio(table: Table, cell: str, variant: str) -> tuple[float, float]:
    """The ratio to the comparison's baseline, and half the width of its interval, relative."""
    ratio, low, high = (
        _number(table, cell, variant, "time", column) for column in ("ratio", "ratio_low", "ratio_high")
    )
    return ratio, (high - low) / 2 / ratio


class _Interleaved:
    param_names = ("cell", "variant")
    cells: Cells

    def track_ratio(self, table: Table, cell: str, variant: str) -> float:
        """Time relative to the baseline; NaN, with a message, where its interval is too wide to find 5 %."""
        ratio, width = _ratio(table, cell, variant)
        # The table already has the ratio to the comparison's baseline.
        against, other = _ratio(table, cell, self.cells.against) if self.cells.against else (1.0, 0.0)
        # Either variant may be the comparison's baseline, whose interval has no width.
        reach = math.hypot(width, other)
        if not reach <= WIDEST:
            lacks = (
                "it was not measured"
                if math.isnan(reach)
                else f"±{100 * reach:.1f} % after {BUDGET} s, where ±{100 * WIDEST:g} % is wanted; "
                "set GRADBENCH_ASV_BUDGET to more"
            )
            print(f"{cell} {variant}: ratio not known, and so not compared: {lacks}", file=sys.stderr)
            return math.nan
        return ratio / against

    track_ratio.unit = "ratio"  # type: ignore[attr-defined]


def _tracked(metric: Metric) -> Callable[[_Interleaved, Table, str, str], float]:
    def track(self: _Interleaved, table: Table, cell: str, variant: str) -> float:
        return _number(table, cell, variant, metric.name)

    track.__doc__ = metric.meaning
    track.unit = {"B": "bytes", "s": "seconds"}.get(metric.unit, "")  # type: ignore[attr-defined]
    return track


for _metric in metrics():
    if _metric.followed:
        setattr(_Interleaved, f"track_{_metric.name}", _tracked(_metric))


# asv identifies a setup_cache by its line, so each class has to define one.
class Square(_Interleaved):
    """x² as a Function of this project."""

    cells = SQUARE
    params = SQUARE.params

    def setup_cache(self) -> Table:
        return measure(SQUARE)

    setup_cache.timeout = 600  # type: ignore[attr-defined]


class Custom(_Interleaved):
    """exp(sin(x²)) by Functions of this project."""

    cells = CUSTOM
    params = CUSTOM.params

    def setup_cache(self) -> Table:
        return measure(CUSTOM)

    setup_cache.timeout = 600  # type: ignore[attr-defined]


class Controls(_Interleaved):
    """torch's own ways to control gradients."""

    cells = CONTROLS
    params = CONTROLS.params

    def setup_cache(self) -> Table:
        return measure(CONTROLS)

    setup_cache.timeout = 600  # type: ignore[attr-defined]


if ADDED.request.workloads:

    class Added(_Interleaved):
        """The workloads of the extensions in this environment, of 100 elements."""

        cells = ADDED
        params = ADDED.params

        def setup_cache(self) -> Table:
            return measure(ADDED)

        setup_cache.timeout = 600  # type: ignore[attr-defined]
