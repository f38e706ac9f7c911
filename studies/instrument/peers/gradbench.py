"""gradbench: a run of the product on the same question.

Run as `python -m studies.instrument.peers.gradbench UNTIL`: one answer, as JSON.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec

from gradbench.analyse.summary import summarise
from gradbench.record.plan import Comparison
from studies.instrument.peers.process import ROOT, Failed
from studies.instrument.peers.question import GROUPS, STATEMENTS
from studies.instrument.peers.tool import Answer, Settings, Tool
from studies.instrument.trials import Trial, run_trial
from studies.instrument.variants import named, with_twin


class Gradbench(Tool):
    """A run of three passes that ends with the budget, and the point estimate of its summary.

    Like every run, it has a baseline, its twin and an empty loop besides the statements of the question.
    `again` is a separate variant: a twin gets no verdict, so it could never be called different. gradbench
    warns below ten passes. Each pass imports torch, and a budget of seconds has room for three.
    """

    name = "gradbench"

    def environment(self, folder: Path) -> dict[str, str]:
        known = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join([str(ROOT), known] if known else [str(ROOT)])}

    def command(self, settings: Settings, started: float) -> list[str]:
        return [
            *(sys.executable, "-m", "studies.instrument.peers.gradbench"),
            str(started + settings["seconds"]),
        ]

    def answer(self, folder: Path, printed: str) -> Answer:
        return msgspec.json.decode(printed, type=Answer)


PASSES = 3


def comparisons() -> tuple[Comparison, ...]:
    """The question, for gradbench."""
    return tuple(
        with_twin(
            group,
            STATEMENTS[f"{group}/a"],
            {name: STATEMENTS[f"{group}/{name}"] for name in ("again", "more")},
        )
        for group in GROUPS
    )


# The verdicts of gradbench in the words of the study. Other verdicts have no word.
_VERDICTS = {"faster": "different", "slower": "different", "same": "same", "cannot tell": "cannot tell"}


def measure(folder: Path, until: float) -> Answer:
    """gradbench's answer, by a run into a new folder that ends at `until` (as of `time.time()`).

    Raises Failed if a statement was not measured.
    """
    left = until - time.time()
    results = run_trial(Trial("peers", comparisons(), PASSES, slice=left, budget=left), folder)
    answer = Answer({}, {}, {})
    for each in summarise(results).comparisons:
        group = each.comparison.id
        for name, variant in (("a", "baseline"), ("again", "again"), ("more", "more")):
            found = named(each, variant)
            if found.time is None or found.ratio is None:
                raise Failed(f"{group}/{name} was not measured")
            answer.seconds[f"{group}/{name}"] = found.time.mean
            if name != "a":
                answer.ratios[f"{group}/{name}"] = found.ratio.mean
            if name == "again":
                answer.verdicts[f"{group}/again"] = _VERDICTS.get(found.verdict)
    return answer


if __name__ == "__main__":
    (end,) = sys.argv[1:]
    print(msgspec.json.encode(measure(Path("run"), float(end))).decode())
