"""asv on commits whose truth is known: identical ones, slower ones, and ones that save more.

A temporary clone gets the commits. Each is measured once, by `asv run` in asv's own environment, and compared
with the one before, by `asv compare`, which judges as `asv continuous` does.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gradbench import format
from studies.regressions.part import Part, Table

FACTOR = 1.03
SLOWER = 0.05
MORE_BYTES = 64

_PLACE = "        return (x + x) * g\n"
_WAIT = (
    "until = time.perf_counter_ns() + {waits}[x.numel()]\nwhile time.perf_counter_ns() < until:\n    pass\n"
)
_WAITS = textwrap.indent(f"d = (x + x) * g\n{_WAIT}return d\n", " " * 8)
_SAVES = "            ctx.save_for_backward(x)\n        return x * x\n"
_READS = "        (x,) = ctx.saved_tensors\n" + "        # x + x costs less"


class Comparison(msgspec.Struct, frozen=True):
    """Two commits, one after the other.

    Attributes:
        kind: what the second one changes: identical, slower or larger.
        alarms: what asv reports as changed: its mark (+ worse, - better, ! failed), ratio and benchmark.
        before: by benchmark and cell, what was tracked at the first; None where it was not known.
        after: and at the second.
    """

    kind: str
    alarms: list[tuple[str, str, str]]
    before: dict[str, float | None]
    after: dict[str, float | None]


class Trials(msgspec.Struct):
    """What was done, and what came of it.

    Attributes:
        bench: which benchmarks of the suite.
        budget: seconds that a run of gradbench may take at each commit.
        waits: by number of elements, the nanoseconds that slower commits wait in Square.backward.
    """

    started: str
    machine: dict[str, str]
    bench: str
    budget: int
    factor: float
    waits: dict[int, int]
    comparisons: list[Comparison]


class Clone:
    """A clone of this repository, with asv and a home of its own."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.path = folder / "clone"
        # asv keeps what it knows of a machine in the home.
        self._environment = {**os.environ, "HOME": str(folder), "GRADBENCH_ASV_BUDGET": str(budget)}
        # What pip is told there, and keeps there, still holds.
        for name, usual in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache")):
            self._environment.setdefault(name, str(Path.home() / usual))
        self._environment.pop("PYTHONPATH", None)
        for name in ("AUTHOR", "COMMITTER"):
            self._environment |= {f"GIT_{name}_NAME": "study", f"GIT_{name}_EMAIL": "study@localhost"}
        subprocess.run(["git", "clone", "--quiet", ".", self.path], check=True)
        self.functions = self.path / "gradbench" / "functions.py"
        self.asv("machine", "--yes")

    def _do(self, *command: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def asv(self, *arguments: str) -> str:
        """What the command says."""
        return self._do(sys.executable, "-m", "asv", *arguments)

    def commit(self, message: str, source: str) -> str:
        """A commit in which functions.py has this source; its hash."""
        self.functions.write_text(source)
        self._do("git", "commit", "--quiet", "--all", "--allow-empty", "--message", message)
        return self._do("git", "rev-parse", "HEAD").strip()

    def measure(self, commit: str, bench: str) -> dict[str, float | None]:
        """What asv tracks at a commit."""
        self.asv("run", f"{commit}^!", "--bench", bench)
        (path,) = (self.path / ".asv" / "results").glob(f"*/{commit[:8]}-*.json")
        return dict(tracked(json.loads(path.read_text())))

    def compare(self, before: str, after: str) -> list[tuple[str, str, str]]:
        """What asv reports as changed."""
        table = self.asv("compare", before, after, "--factor", str(FACTOR), "--only-changed")
        rows = [
            [cell.strip() for cell in line.split("|")[1:-1]]
            for line in table.splitlines()
            if line.startswith("|")
        ]
        return [(row[0], row[3], row[4]) for row in rows if row[0] in ("+", "-", "!")]

    def machine(self) -> dict[str, str]:
        """As asv describes it, without its name."""
        (path,) = (self.path / ".asv" / "results").glob("*/machine.json")
        known = json.loads(path.read_text())
        return {name: str(known[name]) for name in ("arch", "cpu", "num_cpu", "os", "ram")}


def tracked(content: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    """By benchmark and cell, what a results file of asv holds; None where it is not known."""
    for name, columns in content["results"].items():
        row = dict(zip(content["result_columns"], columns, strict=False))
        for cell, value in zip(itertools.product(*row["params"]), row["result"] or [], strict=False):
            known = value is not None and not math.isnan(value)
            yield f"{name}({', '.join(cell)})", value if known else None


def waits(say: Callable[[str], None]) -> dict[int, int]:
    """5 % of what a backward through Square takes, in nanoseconds, by number of elements."""
    say("how long Square.backward takes")
    gradbench = Path(sysconfig.get_path("scripts")) / "gradbench"
    with tempfile.TemporaryDirectory() as folder:
        common = [sys.executable, str(gradbench)]
        wanted = ["--workload", "square", "--size", "100,10000", "--preset", "quick", "--passes", "5"]
        subprocess.run([*common, "run", "--no-report", "--output", f"{folder}/run", *wanted], check=True)
        table = subprocess.run(
            [*common, "export", f"{folder}/run"], check=True, capture_output=True, text=True
        )
    # What looking at the clock takes is part of the slowdown.
    wait, number = _WAIT.format(waits={1: 0}), 10_000
    looking = min(timeit.repeat(wait, "import time, torch; x = torch.ones(1)", number=number)) / number * 1e9
    return {
        int(row["numel"]): round(SLOWER * float(row["value"]) * 1e9 - looking)
        for row in csv.DictReader(table.stdout.splitlines())
        if (row["workload"], row["method"], row["metric"]) == ("square.backward", "function", "time")
    }


def slower(source: str, waits: dict[int, int]) -> str:
    """The source of functions.py, whose Square.backward waits."""
    return _replaced(source, _PLACE, _WAITS.format(waits=waits)).replace(
        "import math\n", "import math\nimport time\n", 1
    )


def larger(source: str) -> str:
    """The source of functions.py, whose Square saves a tensor of 64 bytes more."""
    saving = _SAVES.replace("(x)", f"(x, torch.empty({MORE_BYTES}, dtype=torch.uint8))", 1)
    return _replaced(_replaced(source, _SAVES, saving), _READS, _READS.replace("(x,)", "(x, _)"))


def _replaced(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise RuntimeError(f"functions.py is not as this study knows it: expected this once:\n{old}")
    return source.replace(old, new)


def study(
    output: Path, comparisons: int, changed: int, bench: str, budget: int, say: Callable[[str], None]
) -> None:
    """Make the commits, measure and compare them; asv.json is written anew after each."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder), budget)
        source = clone.functions.read_text()
        wait = waits(say)
        trials = Trials(
            datetime.datetime.now().isoformat(timespec="seconds"), {}, bench, budget, FACTOR, wait, []
        )
        # A changed commit stands between two that are not, so that no drift of the machine helps to find it.
        kinds = ["identical"] * comparisons + ["slower", "back"] * changed + ["larger"]
        sources = {"slower": slower(source, wait), "larger": larger(source)}
        last = clone.commit("start", source)
        before = clone.measure(last, bench)
        trials.machine = clone.machine()
        for number, kind in enumerate(kinds, 1):
            commit = clone.commit(kind, sources.get(kind, source))
            after = clone.measure(commit, bench)
            alarms = clone.compare(last, commit)
            trials.comparisons.append(Comparison(kind, alarms, before, after))
            (output / "asv.json").write_bytes(msgspec.json.format(msgspec.json.encode(trials), indent=1))
            say(f"{number} of {len(kinds)}, {kind}: {alarms or 'nothing'}")
            last, before = commit, after


_TOLD = {
    "identical": "none",
    "slower": f"{SLOWER:.0%} of a backward more in Square.backward",
    "back": "that taken back",
    "larger": f"{MORE_BYTES} bytes more saved by Square",
}


def part(trials: Trials) -> Part:
    """What was found, for the page."""
    rows = []
    for kind, change in _TOLD.items():
        chosen = [each for each in trials.comparisons if each.kind == kind]
        if chosen:
            loud = sum(bool(each.alarms) for each in chosen)
            found = "" if kind not in _FOUND else str(sum(_found(each) for each in chosen))
            rows.append((change, str(len(chosen)), str(loud), found))
    alike = [each for each in trials.comparisons if each.kind == "identical"]
    apart = []
    for cell in sorted({cell for each in alike for cell in each.after if ".track_ratio(" in cell}):
        pairs = [(each.before.get(cell), each.after.get(cell)) for each in alike]
        known = sorted(abs(math.log(b / a)) for a, b in pairs if a is not None and b is not None)
        figures = [f"{statistics.median(known):.2%}", f"{known[-1]:.2%}"] if known else [format.UNKNOWN] * 2
        apart.append((cell, *figures, f"{len(known)} of {len(pairs)}"))
    about = (
        f"Begun {trials.started}, on {trials.machine['cpu']} with {trials.machine['num_cpu']} processors. "
        f"Benchmarks: {trials.bench}. Each commit was measured by asv run, for which gradbench ran at most "
        f"{trials.budget} s, and compared with the one before by asv compare --factor {trials.factor:g}."
    )
    return Part(
        "asv",
        "asv",
        [about],
        [
            Table(
                "Alarms, and changes that were found",
                ("change", "comparisons", "with an alarm", "found"),
                rows,
            ),
            Table("How far identical commits were apart", ("benchmark", "median", "largest", "known"), apart),
        ],
        [(_TOLD[each.kind], _said(each)) for each in trials.comparisons if each.kind in _FOUND],
    )


def _said(comparison: Comparison) -> list[str]:
    """What asv reported of a change, and what was tracked where it has to be reported."""
    said = [" ".join(alarm) for alarm in comparison.alarms]
    for cell, value in comparison.after.items():
        if _FOUND[comparison.kind] in cell:
            was, now = (
                "not known" if known is None else f"{known:.4g}" for known in (comparison.before[cell], value)
            )
            said.append(f"{cell}: {was}, then {now}")
    return said


# Where a change has to be reported.
_FOUND = {"slower": "track_ratio('square.backward/", "larger": "track_saved('square.forward/"}


def _found(comparison: Comparison) -> bool:
    return any(mark == "+" and _FOUND[comparison.kind] in name for mark, _, name in comparison.alarms)
