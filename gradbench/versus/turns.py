"""One visit of a pair: both processes take turns at one comparison."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence, Set

from gradbench.measure.process import WorkerLost, WorkerProcess
from gradbench.measure.protocol import Calibrated, Check, Finish, Task, Turn, Turned
from gradbench.record.plan import Comparison
from gradbench.record.visits import Failure
from gradbench.versus.records import NAMES, Name, Options, PairTime


class SideLost(Exception):
    """The process of one side died or hung."""

    def __init__(self, name: Name, why: WorkerLost) -> None:
        super().__init__(str(why))
        self.name = name
        self.why = why


class Partner:
    """One process of a pair, in one visit."""

    def __init__(
        self, name: Name, worker: WorkerProcess, timeout: float, fail: Callable[[Name, Failure], None]
    ) -> None:
        """The process may be silent for `timeout` seconds; its failures go to `fail`."""
        self.name = name
        self._worker = worker
        self._timeout = timeout
        self._fail = fail
        self._waits_for_turn = False

    def ask(self, request: Task | Turn) -> Calibrated | Turned | Finish:
        """Send a request, pass on failures, and return the answer. Raises SideLost.

        The process leaves out a variant that raises in its turn. It then offers the others again.
        """
        try:
            for message in self._worker.ask(request, self._timeout):
                if isinstance(message, Calibrated | Turned | Finish):
                    self._waits_for_turn = not isinstance(message, Finish)
                    return message
                if isinstance(message, Failure):
                    self._fail(self.name, message)
        except WorkerLost as lost:
            raise SideLost(self.name, lost) from None
        raise AssertionError("a process answers or is lost")

    def dismiss(self) -> None:
        """End the visit on this side."""
        if self._waits_for_turn:
            self.ask(Turn())


def visit(
    comparison: Comparison,
    partners: Sequence[Partner],
    options: Options,
    dice: random.Random,
    fallen: Set[tuple[str, str]],
    check: Check,
) -> tuple[int, dict[str, PairTime]] | None:
    """Have A and B visit a comparison. Returns the turns of each, and the times by variant. Raises SideLost.

    Args:
        partners: A and B.
        dice: draw the side that begins.
        fallen: comparison and variant of the variants that are left out; it may grow meanwhile.
        check: how much both sides check before their first turn.

    Returns:
        None if only the calibration task works on both sides, or a variant raised.
    """
    offers = [each.ask(Task(comparison, 0.0, check=check)) for each in partners]
    calls = {}
    if all(isinstance(offer, Calibrated) for offer in offers):
        calls = _agreed(comparison, offers, fallen)  # type: ignore[arg-type]
    times = _take_turns(partners, calls, options, dice) if set(calls) - {"calibration_task"} else None
    for partner in partners:
        partner.dismiss()
    return times


def _agreed(comparison: Comparison, offers: list[Calibrated], fallen: Set[tuple[str, str]]) -> dict[str, int]:
    """The calls in a batch, the same on both sides: their number must not cause a difference."""
    a, b = (offer.calls for offer in offers)
    return {
        variant.name: max(1, round(math.sqrt(a[variant.name] * b[variant.name])))
        for variant in comparison.variants
        if variant.name in a and variant.name in b and (comparison.id, variant.name) not in fallen
    }


def _take_turns(
    partners: Sequence[Partner], calls: dict[str, int], options: Options, dice: random.Random
) -> tuple[int, dict[str, PairTime]] | None:
    turns: dict[Name, list[dict[str, float]]] = {"A": [], "B": []}
    turn = Turn(calls, options.turn)
    until = time.monotonic() + 2 * options.slice
    while len(turns["A"]) < 2 or time.monotonic() < until:
        first = dice.randrange(2)
        for partner in (partners[first], partners[1 - first]):
            answer = partner.ask(turn)
            if not isinstance(answer, Turned):
                return None
            turns[partner.name].append(answer.seconds)
    times = {}
    for variant, n in calls.items():
        a, b = ([each[variant] for each in turns[name]] for name in NAMES)
        log_ratio = statistics.median(math.log(y / x) for x, y in zip(a, b, strict=True))
        times[variant] = PairTime(n, statistics.median(a), statistics.median(b), log_ratio)
    return len(turns["A"]), times
