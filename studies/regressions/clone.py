"""A clone of this repository with commits whose truth is known: identical, slower, or larger in memory."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
import timeit
from pathlib import Path

from studies.files import Log

SLOWER = 0.05
MORE_BYTES = 64

# The change of a commit, by its kind.
CHANGES = {
    "identical": "none",
    "slower": f"{SLOWER:.0%} of a backward more in Square.backward",
    "back": "that taken back",
    "larger": f"{MORE_BYTES} bytes more saved by Square",
}

# The command of a user.
GRADBENCH = (sys.executable, str(Path(sysconfig.get_path("scripts")) / "gradbench"))
# The file of Square.
SOURCE = Path("gradbench") / "functions" / "autograd.py"

_PLACE = "        return (x + x) * g\n"
_WAIT = (
    "until = time.perf_counter_ns() + {waits}[x.numel()]\nwhile time.perf_counter_ns() < until:\n    pass\n"
)
_WAITS = textwrap.indent(f"d = (x + x) * g\n{_WAIT}return d\n", " " * 8)
_SAVES = "            ctx.save_for_backward(x)\n        return x * x\n"
_READS = "        (x,) = ctx.saved_tensors\n" + "        # x + x costs less"


class Clone:
    """A clone of this repository, with a home and an author."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Clone into a folder; `environment` are variables of the commands that run there."""
        self.path = folder / "clone"
        # asv keeps its description of a machine in the home.
        self._environment = {**os.environ, "HOME": str(folder), **environment}
        # pip still uses its settings and its cache.
        for name, usual in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache")):
            self._environment.setdefault(name, str(Path.home() / usual))
        self._environment.pop("PYTHONPATH", None)
        for name in ("AUTHOR", "COMMITTER"):
            self._environment |= {f"GIT_{name}_NAME": "study", f"GIT_{name}_EMAIL": "study@localhost"}
        subprocess.run(["git", "clone", "--quiet", ".", self.path], check=True)
        self.source = (self.path / SOURCE).read_text()

    def do(self, *command: str) -> str:
        """Run a command in the clone, and return its output. Raises RuntimeError if it fails."""
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

    def commit(self, kind: str, waits: dict[int, int]) -> str:
        """Commit this kind of change to the cloned sources, and return the hash."""
        source = self.source
        if kind == "slower":
            source = slower(source, waits)
        elif kind == "larger":
            source = larger(source)
        (self.path / SOURCE).write_text(source)
        self.do("git", "commit", "--quiet", "--all", "--allow-empty", "--message", kind)
        return self.do("git", "rev-parse", "HEAD").strip()


def measure_waits(log: Log) -> dict[int, int]:
    """5 % of the time of a backward through Square, in nanoseconds, by number of elements."""
    log("how long Square.backward takes")
    with tempfile.TemporaryDirectory() as folder:
        wanted = ["--workload", "square", "--size", "100,10000", "--preset", "quick", "--passes", "5"]
        command = [*GRADBENCH, "run", "--no-report", "--output", f"{folder}/run", *wanted]
        subprocess.run(command, check=True)
        export = [*GRADBENCH, "export", f"{folder}/run"]
        table = subprocess.run(export, check=True, capture_output=True, text=True).stdout
    # The time of reading the clock is part of the slowdown.
    wait, number = _WAIT.format(waits={1: 0}), 10_000
    reading = min(timeit.repeat(wait, "import time, torch; x = torch.ones(1)", number=number)) / number * 1e9
    return {
        int(row["numel"]): round(SLOWER * float(row["value"]) * 1e9 - reading)
        for row in csv.DictReader(table.splitlines())
        if (row["workload"], row["method"], row["metric"]) == ("square.backward", "function", "time")
    }


def slower(source: str, waits: dict[int, int]) -> str:
    """The source with a Square.backward that waits so many nanoseconds, by number of elements."""
    waiting = _replaced(source, _PLACE, _WAITS.format(waits=waits))
    return _replaced(waiting, "import torch\n", "import time\n\nimport torch\n")


def larger(source: str) -> str:
    """The source with a Square that saves a tensor of 64 bytes more."""
    saving = _SAVES.replace("(x)", f"(x, torch.empty({MORE_BYTES}, dtype=torch.uint8))", 1)
    return _replaced(_replaced(source, _SAVES, saving), _READS, _READS.replace("(x,)", "(x, _)"))


def _replaced(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise RuntimeError(f"{SOURCE} is not as this study knows it: expected this once:\n{old}")
    return source.replace(old, new)
