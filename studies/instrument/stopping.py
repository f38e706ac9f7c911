"""Simulated runs that choose their visits by their findings: is a verdict still to be trusted?

Only visits are simulated. The product's code chooses the next visit and its length. It also finds the open
questions at each look, and the verdicts at the end. For comparison, passes that visit everything measure the
same machines.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy

from gradbench.analyse.summary import summarise
from gradbench.analyse.undecided import find_open
from gradbench.measure.goal import Goal
from gradbench.measure.schedule import Schedule
from gradbench.measure.steering import LOOKS
from gradbench.record.plan import Comparison, Plan
from gradbench.record.results import Header, Results
from gradbench.record.visits import Look, VariantTime, Visit
from studies.files import Log, new_writer
from studies.instrument.simulation import CALL, CALLS, EMPTY, HEADER
from studies.instrument.variants import called_different, with_twin

FILENAME = "stopping.jsonl"

COMPARISONS = 8
# The factor of a variant by its name. A variant that differs by the margin of "the same" tempts runs to stop.
EFFECTS = {"same 1": 1.0, "same 2": 1.0, "same 3": 1.0, "0.5 %": 1.005, "1 %": 1.01, "2 %": 1.02, "30 %": 1.3}
BUDGET, BESIDE, STARTUP = 140.0, 2, 2.0
# As in a preset: a comparison with nothing open gets no more visits.
VISITS = 36

Design = Literal["by what is open", "everything alike"]
DESIGNS: tuple[Design, ...] = ("by what is open", "everything alike")


class Stopped(msgspec.Struct, frozen=True):
    """The outcome of the simulated runs of a design.

    Attributes:
        false: share of the runs in which any identical variant is called slower or faster.
        covered: by effect, the share of all 95 % intervals that hold the truth.
        found: by effect, the share of variants that are called slower.
        undecided: median over runs of the verdicts that stay open.
    """

    design: Design
    runs: int
    false: float
    covered: dict[str, float]
    found: dict[str, float]
    undecided: float


class _Machine:
    """Makes visits whose scatter differs from comparison to comparison."""

    def __init__(self, dice: numpy.random.Generator, plan: Plan) -> None:
        self._dice = dice
        self._between = {each.id: 10 ** dice.uniform(-3.0, -1.7) for each in plan.comparisons}
        self._within = {each.id: 10 ** dice.uniform(-3.5, -2.0) for each in plan.comparisons}
        self._variants = {each.id: len(each.variants) for each in plan.comparisons}
        self.other = {each.id: float(dice.uniform(0.01, 0.4)) for each in plan.comparisons}

    def visit(self, number: int, comparison: Comparison, seconds: float) -> Visit:
        dice, id = self._dice, comparison.id
        # The fewer variants, the more rounds in a second.
        noise = (
            self._within[id] / math.sqrt(seconds) * math.sqrt(len(comparison.variants) / self._variants[id])
        )
        variants = {}
        for each in comparison.variants:
            if each.role == "empty":
                seconds_per_call, log = EMPTY, math.log(EMPTY / (CALL + EMPTY))
            else:
                # Identical code in one process has the same layout.
                layout = 0.0 if each.role in ("baseline", "twin") else dice.normal(0.0, self._between[id])
                log = 0.0 if each.role == "baseline" else layout + dice.normal(0.0, noise)
                factor = EFFECTS.get(each.name, 1.0) * math.exp(log)
                seconds_per_call = CALL * factor + EMPTY
                log = math.log(seconds_per_call / (CALL + EMPTY))
            variants[each.name] = VariantTime(
                CALLS, seconds_per_call, seconds_per_call, seconds_per_call, log
            )
        return Visit(number, id, 50, seconds, self.other[id], noise, variants)


def one_run(design: Design, dice: numpy.random.Generator) -> Results:
    comparisons = tuple(
        with_twin(f"simulated {number}", "", dict.fromkeys(EFFECTS, "")) for number in range(COMPARISONS)
    )
    plan = Plan(comparisons)
    header: Header = msgspec.structs.replace(HEADER, plan=plan)
    results, machine = Results(Path("simulated"), header), _Machine(dice, plan)
    goal = Goal(None, BUDGET, None, 2.0, VISITS)
    schedule = Schedule(plan, goal)
    schedule.startup = STARTUP
    lanes, looks, number = [BUDGET] * BESIDE, list(LOOKS), 0
    while True:
        lane = int(numpy.argmax(lanes))
        spent = 1 - lanes[lane] / BUDGET
        if design == "by what is open" and looks and spent >= looks[0]:
            looks = [each for each in looks if each > spent]
            found = find_open(results, len(LOOKS))
            results.add(Look(spent, dict(found.open), found.says))
            schedule.ask(found.questions)
        number += 1
        if design == "by what is open":
            shares = schedule.next(lanes[lane], BESIDE)
        elif lanes[lane] > STARTUP + COMPARISONS * 0.8:
            shares = schedule.fixed(comparisons, COMPARISONS * 0.8)
        else:
            shares = []
        if not shares:
            return results
        lanes[lane] -= STARTUP
        for share in shares:
            visit = machine.visit(number, share.comparison, share.seconds)
            lanes[lane] -= visit.timed_seconds + visit.other_seconds
            results.add(visit)
            schedule.heard(visit)


def _some_runs(design: Design, seed: int, runs: int) -> list[dict[str, Any]]:
    dice = numpy.random.default_rng([seed, len(design)])
    found = []
    for _ in range(runs):
        summary = summarise(one_run(design, dice))
        covered: dict[str, list[bool]] = {name: [] for name in EFFECTS}
        slower: dict[str, list[bool]] = {name: [] for name in EFFECTS}
        false, undecided = False, 0
        for comparison in summary.comparisons:
            for each in comparison.methods:
                if each.name not in EFFECTS or each.ratio is None:
                    continue
                low, high = each.ratio.low, each.ratio.high
                if low is not None and high is not None:
                    covered[each.name].append(low <= EFFECTS[each.name] <= high)
                slower[each.name].append(each.verdict == "slower")
                undecided += each.verdict == "cannot tell"
                false = false or (EFFECTS[each.name] == 1.0 and called_different(each))
        found.append({"covered": covered, "slower": slower, "false": false, "undecided": undecided})
    return found


def simulate(design: Design, runs: int, pool: ProcessPoolExecutor, parts: int = 8) -> Stopped:
    """Simulate so many runs of a design."""
    per = -(-runs // parts)
    rows = [pool.submit(_some_runs, design, part, per) for part in range(parts)]
    all_ = [each for row in rows for each in row.result()]

    def share(what: str) -> dict[str, float]:
        return {
            name: float(numpy.mean([one for each in all_ for one in each[what][name]])) for name in EFFECTS
        }

    return Stopped(
        design,
        len(all_),
        float(numpy.mean([each["false"] for each in all_])),
        share("covered"),
        share("slower"),
        float(numpy.median([each["undecided"] for each in all_])),
    )


def study(data: Path, log: Log, runs: int = 1_000) -> None:
    """Simulate both designs; one line of JSON each."""
    with closing(new_writer(data / FILENAME)) as writer, ProcessPoolExecutor(2) as pool:
        for design in DESIGNS:
            found = simulate(design, runs, pool)
            log(f"simulated runs, {design}: {100 * found.false:.2f} % have a false verdict")
            writer.write(found)
