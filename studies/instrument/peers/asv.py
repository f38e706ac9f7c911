"""asv: a suite in a new repository, measured by `asv run`."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from studies.instrument.peers.process import Failed, execute
from studies.instrument.peers.question import GROUPS, SETUP, STATEMENTS, function, identifier
from studies.instrument.peers.tool import DRY, Answer, Settings, Tool, answer_of


class Asv(Tool):
    """`asv run` in the installed environment, one process a statement and round, and asv's result.

    The result is the median of all samples of about 10 ms, asv's defaults. asv runs 2 rounds by default. It
    does so here if the budget has room for their default of 5 samples; otherwise it runs one. The rest of the
    budget goes into more samples, by the documented triple of `repeat`. The import of the file makes x: with
    a `setup` method asv would time single calls. Processes are spawned, asv's default; its forkserver would
    import torch only once.

    The verdict is the rule of `asv compare` and `asv continuous`. Two results are different if they differ
    by more than 10 % and by the Mann-Whitney U test. Other results are the same, except those beyond 10 %
    that the test does not separate.
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
            function(f"def time_{identifier(name)}(x=x):", statement)
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
            execute(command, folder, home)

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
            name: dict(zip(columns, results["results"][f"question.time_{identifier(name)}"], strict=False))
            for name in STATEMENTS
        }
        seconds = {name: each["result"][0] for name, each in found.items()}
        if any(value is None for value in seconds.values()):
            raise Failed("a benchmark failed")
        given = json.dumps([[found[f"{group}/a"], found[f"{group}/again"]] for group in GROUPS])
        judged = execute([sys.executable, "-c", _VERDICT], folder, self.environment(folder), given=given)
        return answer_of(seconds, json.loads(judged))


# The comparison of `asv compare` for each pair of results, with its function and its default factor.
_VERDICT = """\
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
