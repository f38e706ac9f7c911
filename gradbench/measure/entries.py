"""How often a call enters a control of gradients, by line of the user's code, and the price of that."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from gradbench import format
from gradbench.measure.user_code import calling_line
from gradbench.record.user_file import Fault

# Below this part of a call the entries are not worth a fault.
_WORTH_SAYING = 0.02
# The price of an entry comes from this many in a row, and from the shortest of a few such times.
_ENTRIES, _TIMES = 1_000, 5

_CONTROLS: tuple[type[Any], ...] = (torch.no_grad, torch.inference_mode, torch.enable_grad)


def entered_often(call: Callable[[], object], file: str) -> list[Fault]:
    """Controls that a call enters again and again, where that takes a relevant part of its time."""
    with _counting(file) as counts:
        call()
    if not counts:
        return []
    seconds = _shortest(call)
    faults = []
    for (control, line), count in counts.most_common():
        cost = count * _price(control)
        if count > 1 and cost > _WORTH_SAYING * seconds:
            faults.append(
                Fault(
                    "entered often",
                    f"a call enters {control.__name__}() {count:,} times here: about "
                    f"{format.seconds(cost)} of its {format.seconds(seconds)}; once around all of it costs "
                    f"{format.seconds(cost / count)}",
                    line,
                    seconds=cost,
                )
            )
    return faults


@contextmanager
def _counting(file: str) -> Iterator[Counter[tuple[type[Any], str]]]:
    """Count the controls that lines of the file enter, within."""
    counts: Counter[tuple[type[Any], str]] = Counter()
    before = {control: control.__enter__ for control in _CONTROLS}

    def counted(control: type[Any]) -> Callable[[Any], Any]:
        def enter(self: Any) -> Any:
            line = calling_line(file)
            if line:
                counts[control, line] += 1
            return before[control](self)

        return enter

    for control in _CONTROLS:
        control.__enter__ = counted(control)
    try:
        yield counts
    finally:
        for control, enter in before.items():
            control.__enter__ = enter


def _shortest(call: Callable[[], object]) -> float:
    """Seconds of the shortest of a few calls."""
    times = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def _price(control: type[Any]) -> float:
    """Seconds of an entry and its exit."""
    times = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        for _ in range(_ENTRIES):
            with control():
                pass
        times.append(time.perf_counter() - begun)
    return min(times) / _ENTRIES
