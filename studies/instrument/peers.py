"""gradbench beside the tools that people use today: one question, one budget of wall time, taking turns.

The question is how long six statements take. Three are short (about 350 ns) and three long (about
3 µs); of each three, `again` is `a` word for word, and `more` is `a` with one line more. So the true
ratios to `a` are known without a measurement: 1 and 7/6, 1 and 11/10.

Each tool answers in a fresh process, start-up included in its budget, as its own documentation has it
used: the docstring of each says which choice was made, and why. Tools that watch the clock themselves
are told when to end. The others get settings worked out from what a dry call before the study cost
them, and corrected by what each reading really took.

What a tool says of `again` against `a` is its own rule, run by its own code; that is computed after the
clock of the budget has stopped.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from scipy.special import chdtri

from gradbench.analyse.summary import summarise
from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.pace import REPORT_SECONDS
from gradbench.measure.passes import Steering
from gradbench.record.interval import Interval
from gradbench.record.plan import Plan, Request
from gradbench.record.results import Options
from studies.instrument.variants import comparison, repeated, variant

ROOT = Path(__file__).parents[2]

SETUP = """\
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.rand(100).requires_grad_()
"""
# By group: the line, and how often `a` has it.
GROUPS = {"short": ("x.requires_grad_()", 6), "long": ("x.detach()", 10)}
STATEMENTS = {
    f"{group}/{name}": repeated(line, times + extra)
    for group, (line, times) in GROUPS.items()
    for name, extra in (("a", 0), ("again", 0), ("more", 1))
}
TRUTH = {
    f"{group}/{name}": (times + extra) / times
    for group, (_, times) in GROUPS.items()
    for name, extra in (("again", 0), ("more", 1))
}
# Seconds for one question, and questions to each tool; together about half an hour.
BUDGET = 14.0
REPETITIONS = {"quiet": 8, "other core busy": 4, "same core busy": 2}
# Seconds of measuring in a dry call: enough for two values of each statement by pyperf.
DRY = 3.0
# The share of the budget that tools which cannot be told when to end aim at: a busy moment makes their
# start-up longer, never shorter.
AIM = 0.96
# A difference that a reader would take for one.
NOTICED = 0.01
# With fewer errors than these an interval on their root mean square reaches beyond 2.5 times it.
ENOUGH = 5

Settings = dict[str, float]


class Reading(msgspec.Struct, frozen=True):
    """One tool's answer, once.

    Attributes:
        repetition: from 1; 0 for a condition that could not be made here.
        wall: seconds of wall time, from the start of the tool's process to its end.
        seconds: per call, by statement.
        ratios: of `again` and `more` to `a`, by statement.
        verdicts: what the tool itself says of `again` against `a`, by statement: `different`, `same`,
            `cannot tell`; None where it has no rule.
        settings: what it was run with.
        error: why there is no answer; None where there is one.
    """

    tool: str
    condition: str
    repetition: int
    wall: float
    seconds: dict[str, float] = {}
    ratios: dict[str, float] = {}
    verdicts: dict[str, str | None] = {}
    settings: Settings = {}
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    """What a tool said; as in Reading."""

    seconds: dict[str, float]
    ratios: dict[str, float]
    verdicts: dict[str, str | None]


class Failed(Exception):
    """A tool gave no answer; the message says why."""


@dataclass(frozen=True)
class Condition:
    """What else the machine does.

    Attributes:
        core: that the tool is pinned to, as a place in the list of those allowed; None: not pinned.
        busy: that a busy loop is pinned to; None: there is none.
        crowd: processes that share the tool's core, it among them.
    """

    core: int | None
    busy: int | None
    crowd: int


CONDITIONS = {
    "quiet": Condition(None, None, 1),
    "other core busy": Condition(0, 1, 1),
    "same core busy": Condition(0, 0, 2),
}

# Ends with its parent, so that a study that is killed leaves nothing running.
_BUSY = """\
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def _cores() -> list[int]:
    """The cores that this process may use; none where the system cannot pin."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []


def _pin(core: int | None) -> Callable[[], object] | None:
    """What a child does first, to stay on a core with all that it starts."""
    return None if core is None else functools.partial(os.sched_setaffinity, 0, {_cores()[core]})


def missing(condition: Condition) -> str | None:
    """Why a condition cannot be made here; None if it can."""
    wanted = [core for core in (condition.core, condition.busy) if core is not None]
    if not wanted:
        return None
    if not hasattr(os, "sched_setaffinity"):
        return "skipped: this system cannot pin a process to a core"
    cores = len(_cores())
    return None if max(wanted) < cores else f"skipped: needs {max(wanted) + 1} cores, {cores} allowed"


@contextlib.contextmanager
def _busy(core: int | None) -> Iterator[None]:
    if core is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", _BUSY], preexec_fn=_pin(core))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _execute(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    timeout: float,
    core: int | None = None,
    given: str = "",
) -> str:
    """Run a command in a folder; what it printed. Raises Failed if it fails or takes too long."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_pin(core),
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"{Path(command[0]).name} cannot be started: {error.strerror}") from None
    try:
        printed, complaint = process.communicate(given, timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"no answer within {timeout:.0f} s; it was ended") from None
        raise
    if process.returncode:
        lines = (complaint.strip() or printed.strip()).splitlines()
        said = lines[-1] if lines else ""
        for private in (str(folder), sys.prefix, str(ROOT), str(Path.home())):
            said = said.replace(private, "…")
        raise Failed(f"exit code {process.returncode}: {said[:300]}")
    return printed


class Tool:
    """A tool that answers the question.

    Attributes:
        fixed: seconds of wall time that it takes besides what its settings say, on a core of its own.
        counts: it does a number of loops fixed beforehand, which take longer on a crowded core; other
            tools look at the clock.
        dry: seconds of measuring in each of its dry calls; a tool that is told when to end needs none.
    """

    name = ""
    fixed = 0.3
    counts = False
    dry: tuple[float, ...] = ()

    def calibrate(self, readings: Sequence[Reading]) -> None:
        """Learn `fixed` from the dry calls."""
        self.fixed = self.learn(readings[-1].wall, readings[-1].settings, 1)

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        """Settings that use up the budget. Raises Failed where it is too small for any."""
        return {"seconds": self.room(budget, fixed, crowd)}

    def room(self, budget: float, fixed: float, crowd: int, starts: float = 1.0) -> float:
        """Seconds of measuring that a budget leaves."""
        room = budget / crowd - starts * fixed if self.counts else budget - crowd * starts * fixed
        if room <= 0:
            raise Failed(f"{budget:g} s are too few: its start takes {crowd * starts * fixed:.1f} s")
        return room

    def measured(self, settings: Settings) -> float:
        """Seconds that the settings take on a core of its own, start-up aside."""
        return settings["seconds"]

    def starts(self, settings: Settings) -> float:
        """How often the settings pay `fixed`."""
        return 1.0

    def learn(self, wall: float, settings: Settings, crowd: int) -> float:
        """The `fixed` that explains a reading's wall time."""
        measured = self.measured(settings) * (crowd if self.counts else 1)
        return (wall - measured) / (crowd * self.starts(settings))

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables that it needs beside the inherited ones."""
        return {}

    def prepare(self, folder: Path, settings: Settings) -> None:
        """Write its files; not part of its time."""
        raise NotImplementedError

    def command(self, settings: Settings, started: float) -> list[str]:
        """The command that answers the question, run in the folder; `started` is `time.time()`."""
        raise NotImplementedError

    def answer(self, folder: Path, printed: str) -> Answer:
        """The answer, from what it printed or left in the folder."""
        return plain(json.loads(printed))


def plain(seconds: dict[str, float], verdicts: dict[str, str | None] | None = None) -> Answer:
    """The answer of a tool that times statements one by one: its ratios are quotients of its times."""
    ratios = {name: seconds[name] / seconds[f"{name.partition('/')[0]}/a"] for name in TRUTH}
    return Answer(seconds, ratios, verdicts or {f"{group}/again": None for group in GROUPS})


class _Script(Tool):
    """A script that is told when to end, and shares the time left evenly among the statements left."""

    body = ""

    def prepare(self, folder: Path, settings: Settings) -> None:
        (folder / "statements.json").write_text(json.dumps(STATEMENTS))
        (folder / "question.py").write_text(
            "import json, sys, time\n"
            f"{self.body}"
            "import torch\n"
            f"setup = {SETUP!r}\n"
            "with open('statements.json') as file:\n"
            "    statements = json.load(file)\n"
            "until = float(sys.argv[1])\n"
            "seconds = {}\n"
            "for name, statement in statements.items():\n"
            "    share = (until - time.time()) / (len(statements) - len(seconds))\n"
            "    seconds[name] = measure(statement, setup, share)\n"
            "print(json.dumps(seconds))\n"
        )

    def command(self, settings: Settings, started: float) -> list[str]:
        return [sys.executable, "question.py", str(started + settings["seconds"])]


class Timeit(_Script):
    """`timeit.Timer.autorange`, then `repeat`, and the best of the repeats.

    That is what `python -m timeit` does and reports; the number of repeats, 5 there, is what the share
    of time holds. The documentation advises the minimum.
    """

    name = "timeit"
    body = """\
import timeit
def measure(statement, setup, share):
    began = time.time()
    timer = timeit.Timer(statement, setup)
    number, took = timer.autorange()
    repeats = max(1, round((share - (time.time() - began)) / took))
    return min(timer.repeat(repeats, number)) / number
"""


class TorchBenchmark(_Script):
    """`Timer.blocked_autorange` with the share of time as `min_run_time`, and the median of its blocks.

    The documentation recommends `blocked_autorange` over `timeit`, and the median is what a Measurement
    prints. It has no test for a difference; `Compare` only colours a table.
    """

    name = "torch.utils.benchmark"
    body = """\
def measure(statement, setup, share):
    from torch.utils.benchmark import Timer
    return Timer(statement, setup).blocked_autorange(min_run_time=max(0.01, share)).median
"""


def _function(head: str, statement: str) -> str:
    """A function that does the statement; x is a local, as in a user's function."""
    return f"{head}\n{textwrap.indent(statement, '    ')}\n"


def _identifier(name: str) -> str:
    return name.replace("/", "_")


class PytestBenchmark(Tool):
    """A test with the `benchmark` fixture for each statement, its median, `max_time` to fill the share.

    The call of the function that the fixture is given is part of its times. Its warmup is on: without it
    the number of rounds follows from the duration of one cold call, and a function of 3 µs gets a
    thirtieth of `max_time`. Its raw data are left out of its JSON file, by its own hook, since writing
    them takes time from measuring. It has no test for a difference.
    """

    name = "pytest-benchmark"
    fixed = 2.0
    counts = True
    dry = (DRY / 4, DRY)
    # Seconds of wall time for a second of `max_time`: rounds of 5 µs have a price, and so has sorting them.
    stretch = 1.3

    def calibrate(self, readings: Sequence[Reading]) -> None:
        less, more = readings
        apart = len(STATEMENTS) * (more.settings["max_time"] - less.settings["max_time"])
        self.stretch = max(1.0, (more.wall - less.wall) / apart)
        super().calibrate(readings)

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        return {"max_time": self.room(budget, fixed, crowd) / self.stretch / len(STATEMENTS)}

    def measured(self, settings: Settings) -> float:
        return self.stretch * len(STATEMENTS) * settings["max_time"]

    def prepare(self, folder: Path, settings: Settings) -> None:
        tests = [
            f"def test_{_identifier(name)}(benchmark):\n"
            + textwrap.indent(_function("def statement(x=x):", statement), "    ")
            + "    benchmark(statement)\n"
            for name, statement in STATEMENTS.items()
        ]
        (folder / "test_question.py").write_text("\n".join([SETUP, *tests]))
        (folder / "conftest.py").write_text(
            "def pytest_benchmark_update_json(config, benchmarks, output_json):\n"
            "    for benchmark in output_json['benchmarks']:\n"
            "        del benchmark['stats']['data']\n"
        )

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "--rootdir", ".", "--benchmark-only", "--benchmark-json", "answer.json"),
            *("--benchmark-max-time", str(settings["max_time"])),
            *("--benchmark-warmup=on", "--benchmark-warmup-iterations=1000", "test_question.py"),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        found = json.loads((folder / "answer.json").read_text())["benchmarks"]
        medians = {each["name"]: each["stats"]["median"] for each in found}
        return plain({name: medians[f"test_{_identifier(name)}"] for name in STATEMENTS})


class Pyperf(Tool):
    """`Runner.timeit` in worker processes of its own, and the mean of all values, which it reports.

    Its documentation asks for many processes, 20 by default, of 1 warmup and 3 values each; every one
    imports torch, which is its real price here. So it gets as many as the budget holds, and what is
    left goes into more values. The number of loops is the one that its own rule gives (the first power
    of two above its `min_time` of 0.1 s), found before the study: that spares it a process for each
    statement. Its verdict is that of `pyperf compare_to`, a t-test over all values; what is not
    significant it leaves open.
    """

    name = "pyperf"
    fixed = 7.0
    counts = True
    dry = (DRY,)
    values = 3
    min_time = 0.1

    def __init__(self) -> None:
        # A guess, until its own dry call has measured them.
        self.speeds = {name: (350e-9 if name.startswith("short") else 3e-6) for name in STATEMENTS}

    def calibrate(self, readings: Sequence[Reading]) -> None:
        (found,) = readings
        value = sum(self.loops(name) * speed for name, speed in found.seconds.items())
        values = found.settings["warmups"] + found.settings["values"]
        self.fixed = found.wall / found.settings["processes"] - values * value
        self.speeds = found.seconds

    def loops(self, name: str) -> int:
        """Of a value."""
        return 1 << max(0, math.ceil(math.log2(self.min_time / self.speeds[name])))

    def _value(self) -> float:
        """Seconds of one value of every statement."""
        return sum(self.loops(name) * speed for name, speed in self.speeds.items())

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        least = fixed + (1 + self.values) * self._value()
        processes = max(1, int(budget / crowd / least))
        left = self.room(budget, fixed, crowd, processes)
        values = int(left / processes / self._value()) - 1
        if values < 1:
            raise Failed(f"{budget:g} s are too few for one process a statement of one value each")
        return {"processes": processes, "values": values, "warmups": 1}

    def measured(self, settings: Settings) -> float:
        return settings["processes"] * (settings["warmups"] + settings["values"]) * self._value()

    def starts(self, settings: Settings) -> float:
        return settings["processes"]

    def prepare(self, folder: Path, settings: Settings) -> None:
        loops = {name: self.loops(name) for name in STATEMENTS}
        # Its workers run the script again, with --worker and the loops that the parent decided on.
        (folder / "question.py").write_text(
            "import pyperf\n"
            "runner = pyperf.Runner()\n"
            "args = runner.parse_args()\n"
            f"for name, statement in {STATEMENTS!r}.items():\n"
            "    if not args.worker:\n"
            f"        args.loops = {loops!r}[name]\n"
            f"    runner.timeit(name, statement, {SETUP!r})\n"
        )

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "question.py", "--quiet", "--output", "answer.json"),
            *("--processes", str(int(settings["processes"])), "--values", str(int(settings["values"]))),
            *("--warmups", str(int(settings["warmups"]))),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        suite = json.loads((folder / "answer.json").read_text())
        found = {each["metadata"]["name"]: each for each in suite["benchmarks"]}
        seconds = {
            name: statistics.fmean(value for each in found[name]["runs"] for value in each.get("values", ()))
            for name in STATEMENTS
        }
        verdicts: dict[str, str | None] = {
            f"{group}/again": self._verdict(folder, suite, found[f"{group}/a"], found[f"{group}/again"])
            for group in GROUPS
        }
        return plain(seconds, verdicts)

    @staticmethod
    def _verdict(folder: Path, suite: Any, *pair: Any) -> str:
        files = []
        for number, benchmark in enumerate(pair):
            # Only benchmarks of one name are compared.
            metadata = benchmark["metadata"] | {"name": "statement"}
            files.append(f"{number}.json")
            alone = suite | {"benchmarks": [benchmark | {"metadata": metadata}]}
            (folder / files[-1]).write_text(json.dumps(alone))
        said = _execute([sys.executable, "-m", "pyperf", "compare_to", "--verbose", *files], folder, {}, 60.0)
        if "not significant" in said.lower():
            return "cannot tell"
        if "Significant" in said:
            return "different"
        raise Failed("pyperf compare_to gave no verdict")


class Asv(Tool):
    """`asv run` in the installed environment, one process a statement and round, and its own result.

    That is the median of all samples of about 10 ms, its defaults. It runs 2 rounds by default, and does
    so here where the budget holds them with the 5 samples that they have by default; else one. What is
    left goes into more samples, by the documented triple of `repeat`. x is made when the file is
    imported: with a `setup` method it would time single calls. Processes are spawned, its default; its
    forkserver would import torch only once. Its verdict is the rule of `asv compare` and `asv
    continuous`: different are two results that the Mann-Whitney U test tells apart and that differ by
    more than 10 %; same are the others, except those beyond 10 % that the test does not tell apart.
    """

    name = "asv"
    fixed = 8.0
    dry = (DRY,)
    warmup = 0.1
    default = 5 * 0.01

    def settings(self, budget: float, fixed: float, crowd: int) -> Settings:
        for rounds in (2, 1):
            with contextlib.suppress(Failed):
                room = self.room(budget, fixed, crowd, self.starts({"rounds": rounds}))
                seconds = room / rounds / len(STATEMENTS) - self.warmup
                if seconds >= (self.default if rounds > 1 else 0.01):
                    return {"rounds": rounds, "seconds": seconds}
        raise Failed(f"{budget:g} s are too few for a round of one sample each")

    def measured(self, settings: Settings) -> float:
        return settings["rounds"] * len(STATEMENTS) * (self.warmup + settings["seconds"])

    def starts(self, settings: Settings) -> float:
        # `fixed` is what one round costs: one process for discovery, and one for each statement.
        return (1 + settings["rounds"] * len(STATEMENTS)) / (1 + len(STATEMENTS))

    def environment(self, folder: Path) -> dict[str, str]:
        # It keeps a file about the machine in the home folder, which is not ours.
        return {"HOME": str(folder), "USERPROFILE": str(folder)}

    def prepare(self, folder: Path, settings: Settings) -> None:
        config = {
            "version": 1,
            "project": "question",
            "repo": ".",
            "branches": ["HEAD"],
            "environment_type": "existing",
            "pythons": ["same"],
            "benchmark_dir": "benchmarks",
            "results_dir": "results",
        }
        (folder / "asv.conf.json").write_text(json.dumps(config))
        (folder / "benchmarks").mkdir()
        (folder / "benchmarks" / "__init__.py").touch()
        functions = [
            _function(f"def time_{_identifier(name)}(x=x):", statement)
            for name, statement in STATEMENTS.items()
        ]
        (folder / "benchmarks" / "question.py").write_text("\n".join([SETUP, *functions]))
        home = self.environment(folder)
        identity = ("-c", "user.name=study", "-c", "user.email=study@example.org")
        for command in (
            ["git", "init", "--quiet"],
            ["git", "add", "asv.conf.json", "benchmarks"],
            ["git", *identity, "commit", "--quiet", "--message", "The question"],
            [sys.executable, "-m", "asv", "machine", "--yes", "--machine", "here"],
        ):
            _execute(command, folder, home, 60.0)

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "-m", "asv", "run", "--python=same", "--set-commit-hash", "HEAD"),
            *("--machine", "here", "--record-samples", "--attribute", f"rounds={int(settings['rounds'])}"),
            *("--attribute", f"repeat=(1,1000000,{settings['seconds']:.4f})"),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        (path,) = (folder / "results" / "here").glob("*-existing*.json")
        results = json.loads(path.read_text())
        columns = results["result_columns"]
        found = {
            name: dict(zip(columns, results["results"][f"question.time_{_identifier(name)}"], strict=False))
            for name in STATEMENTS
        }
        seconds = {name: each["result"][0] for name, each in found.items()}
        if any(value is None for value in seconds.values()):
            raise Failed("a benchmark failed")
        given = json.dumps([[found[f"{group}/a"], found[f"{group}/again"]] for group in GROUPS])
        judged = _execute(
            [sys.executable, "-c", _ASV_VERDICT], folder, self.environment(folder), 60.0, given=given
        )
        verdicts = dict(zip((f"{group}/again" for group in GROUPS), json.loads(judged), strict=True))
        return plain(seconds, verdicts)


# What `asv compare` does for each pair of results, with its own function and its default factor.
_ASV_VERDICT = """\
import json, sys
from asv.commands.compare import _is_result_better
def better(one, other, statistics):
    a, b = one['result'][0], other['result'][0]
    if not statistics:
        return _is_result_better(a, b, None, None, 1.1)
    samples = [
        ({name[6:]: each[name][0] for name in each if name.startswith('stats_')}, each['samples'][0])
        for each in (one, other)
    ]
    return _is_result_better(a, b, *samples, 1.1)
def verdict(one, other):
    if better(one, other, True) or better(other, one, True):
        return 'different'
    return 'cannot tell' if better(one, other, False) or better(other, one, False) else 'same'
print(json.dumps([verdict(*pair) for pair in json.load(sys.stdin)]))
"""


class Gradbench(Tool):
    """A run of three passes that ends with the budget, and the point estimate of its summary.

    As in every run there are a baseline, its twin and an empty loop beside what is asked for. `again`
    is a variant of its own, not the twin: a twin takes part in no verdict, so it could never be called
    different. Three passes are fewer than gradbench advises (it warns below ten), but each imports
    torch, and a budget of seconds holds few.
    """

    name = "gradbench"
    passes = 3

    def environment(self, folder: Path) -> dict[str, str]:
        known = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(ROOT), known] if known else [str(ROOT)])}

    def prepare(self, folder: Path, settings: Settings) -> None:
        """Nothing: the plan is made here."""

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "-m", "studies.instrument.peers"),
            *(str(started + settings["seconds"]), str(self.passes)),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        found = json.loads(printed)
        return Answer(found["seconds"], found["ratios"], found["verdicts"])


TOOLS: tuple[type[Tool], ...] = (Timeit, TorchBenchmark, PytestBenchmark, Pyperf, Asv, Gradbench)


def plan() -> Plan:
    """The question, for gradbench."""
    return Plan(
        tuple(
            comparison(
                group,
                [
                    variant("baseline", STATEMENTS[f"{group}/a"], "baseline"),
                    variant("twin", STATEMENTS[f"{group}/a"], "twin"),
                    variant("again", STATEMENTS[f"{group}/again"]),
                    variant("more", STATEMENTS[f"{group}/more"]),
                ],
            )
            for group in GROUPS
        )
    )


def measure(folder: Path, until: float, passes: int) -> Answer:
    """gradbench's answer, by a run into a new folder that ends at `until` (as of `time.time()`)."""
    left = until - time.time()
    options = Options("study", 1, "keep", 60.0, memory=False)
    # The report that a run keeps time for is not made here.
    goal = Goal(passes, left + REPORT_SECONDS, None, left)
    order = run.Order(Request(), options, "make instrument (peers)", plan())
    results = run.start(folder, order, Steering(goal))
    said = {"faster": "different", "slower": "different", "same": "same", "cannot tell": "cannot tell"}
    seconds, ratios = {}, {}
    verdicts: dict[str, str | None] = {}
    for each in summarise(results).comparisons:
        group = each.comparison.id
        for name, role in (("a", "baseline"), ("again", "again"), ("more", "more")):
            found = each.variant(role)
            if found is None or found.time is None or found.ratio is None:
                raise Failed(f"{group}/{name} was not measured")
            seconds[f"{group}/{name}"] = found.time.mean
            if name != "a":
                ratios[f"{group}/{name}"] = found.ratio.mean
            if name == "again":
                verdicts[f"{group}/again"] = said.get(found.verdict)
    return Answer(seconds, ratios, verdicts)


def ask(tool: Tool, condition: str, repetition: int, budget: float, fixed: float) -> Reading:
    """One reading; `budget` as in `study`, `fixed` as in Tool, for this condition."""
    kind = CONDITIONS[condition]
    budget *= kind.crowd
    wall = 0.0
    settings: Settings = {}
    try:
        settings = tool.settings(budget * (AIM if tool.dry else 1.0), fixed, kind.crowd)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tool.prepare(folder, settings)
            with _busy(kind.busy):
                started = time.time()
                command = tool.command(settings, started)
                try:
                    printed = _execute(command, folder, tool.environment(folder), 60 + 4 * budget, kind.core)
                finally:
                    wall = time.time() - started
            answer = tool.answer(folder, printed)
    except (Failed, OSError, LookupError, ValueError) as error:
        why = (
            str(error) if isinstance(error, Failed) else f"its answer cannot be read: {type(error).__name__}"
        )
        return Reading(tool.name, condition, repetition, wall, settings=settings, error=why)
    return Reading(
        *(tool.name, condition, repetition, wall, answer.seconds, answer.ratios, answer.verdicts, settings)
    )


def dry_calls(tools: Sequence[Tool], say: Callable[[str], None]) -> None:
    """Learn what each tool that does not watch the clock pays before it measures."""
    for tool in tools:
        found = [ask(tool, "quiet", 0, tool.fixed + room, tool.fixed) for room in tool.dry]
        wrong = next((reading.error for reading in found if reading.error is not None), None)
        if wrong is not None:
            say(f"dry call of {tool.name}: {wrong}")
        elif found:
            tool.calibrate(found)
            say(f"dry call of {tool.name}: {tool.fixed:.1f} s besides measuring")


def study(
    output: Path,
    budget: float = BUDGET,
    repetitions: Mapping[str, int] = REPETITIONS,
    say: Callable[[str], None] = print,
) -> None:
    """Ask every tool so often in each condition; one line of JSON for each reading.

    Conditions take turns, and so do the tools within them, in an order of their own every time, so that
    the drift of the machine is the same for all.

    Args:
        budget: seconds of wall time for one question, start-up included; on a core that is shared,
            so many times as much, since in the time alone some tools could not even start.
        repetitions: by condition; one that is left out is not made.
    """
    tools = [kind() for kind in TOOLS]
    dry_calls(tools, say)
    fixed = {(tool.name, condition): tool.fixed for tool in tools for condition in CONDITIONS}
    with output.open("w") as file:

        def record(reading: Reading) -> None:
            file.write(msgspec.json.encode(reading).decode() + "\n")
            file.flush()
            how = f"{reading.wall:.1f} s" if reading.error is None else reading.error
            say(f"{reading.condition} {reading.repetition}: {reading.tool}: {how}")

        for repetition in range(1, max(repetitions.values(), default=0) + 1):
            for condition, times in repetitions.items():
                if repetition > times:
                    continue
                why = missing(CONDITIONS[condition])
                if why is not None:
                    for tool in tools if repetition == 1 else ():
                        record(Reading(tool.name, condition, 0, 0.0, error=why))
                    continue
                random.Random(f"{condition}/{repetition}").shuffle(tools)
                for tool in tools:
                    key = tool.name, condition
                    reading = ask(tool, condition, repetition, budget, fixed[key])
                    record(reading)
                    if reading.error is None:
                        seen = tool.learn(reading.wall, reading.settings, CONDITIONS[condition].crowd)
                        fixed[key] = (fixed[key] + seen) / 2


def read(path: Path) -> list[Reading]:
    """The readings of a study."""
    return [msgspec.json.decode(line, type=Reading) for line in path.read_bytes().splitlines()]


def figures(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """How right each tool was in each condition. A figure that has no data is None.

    Of each row, logarithms being natural ones and so nearly fractions:
        n, failed: readings with an answer, and without.
        wall: seconds, mean.
        spread: standard deviation of log(again) over repetitions, short and long taken together.
        rms_again, rms_more: root mean square error of log(ratio) against the truth, short and long.
        worst_again, worst_more: the largest error without sign, of the same.
        called_different: share of `again` that the tool itself calls different from `a`.
        noticed: share of `again` that is off by more than 1 %.
        rms: the same by ratio, as in TRUTH, with a 95 % interval where there are ENOUGH errors.
    """
    places = {kind.name: place for place, kind in enumerate(TOOLS)}
    rows = []
    for condition in dict.fromkeys(reading.condition for reading in readings):
        here = [reading for reading in readings if reading.condition == condition]
        names = sorted({reading.tool for reading in here}, key=lambda name: (places.get(name, 99), name))
        rows += [_row(condition, name, [each for each in here if each.tool == name]) for name in names]
    return rows


def _row(condition: str, tool: str, readings: list[Reading]) -> dict[str, Any]:
    good = [reading for reading in readings if reading.error is None]
    by_name = {
        name: [math.log(reading.ratios[name] / true) for reading in good] for name, true in TRUTH.items()
    }
    again = [error for group in GROUPS for error in by_name[f"{group}/again"]]
    more = [error for group in GROUPS for error in by_name[f"{group}/more"]]
    said = [verdict for reading in good for verdict in reading.verdicts.values() if verdict is not None]
    variances = [statistics.variance(by_name[f"{group}/again"]) for group in GROUPS if len(good) > 1]
    return {
        "condition": condition,
        "tool": tool,
        "n": len(good),
        "failed": len(readings) - len(good),
        "wall": statistics.fmean(reading.wall for reading in good) if good else None,
        "spread": math.sqrt(statistics.fmean(variances)) if variances else None,
        "rms_again": _rms(again),
        "rms_more": _rms(more),
        "rms": {name: _bounded(errors) for name, errors in by_name.items()},
        "worst_again": max(map(abs, again), default=None),
        "worst_more": max(map(abs, more), default=None),
        "called_different": said.count("different") / len(said) if said else None,
        "noticed": sum(abs(error) > NOTICED for error in again) / len(again) if again else None,
    }


def _rms(errors: list[float]) -> float | None:
    return math.sqrt(statistics.fmean(error * error for error in errors)) if errors else None


def _bounded(errors: list[float]) -> Interval | None:
    """Their root mean square with its chi-square interval, errors taken for normal and right on average."""
    rms, count = _rms(errors), len(errors)
    if rms is None:
        return None
    if count < ENOUGH:
        return Interval(rms, None, None, count)
    # chdtri gives the value that is exceeded with this probability.
    low, high = (math.sqrt(count / float(chdtri(count, tail))) for tail in (0.025, 0.975))
    return Interval(rms, low * rms, high * rms, count)


if __name__ == "__main__":
    end, count = sys.argv[1:]
    found = measure(Path("run"), float(end), int(count))
    print(json.dumps({"seconds": found.seconds, "ratios": found.ratios, "verdicts": found.verdicts}))
