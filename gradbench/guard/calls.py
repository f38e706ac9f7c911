"""Calling a function of the user's once, and what may be given as one."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Once(NamedTuple):
    """Seconds of one call, and of its setup."""

    call: float
    setup_per_call: float

    @property
    def whole(self) -> float:
        return self.call + self.setup_per_call


def call_once(
    function: Callable[..., object], setup: Callable[[], object] | None, device: str | None
) -> Once:
    begun = time.perf_counter()
    made = () if setup is None else (setup(),)
    # Asked again each time: the call may be the first use of a device.
    wait_until_done(device)
    started = time.perf_counter()
    function(*made)
    wait_until_done(device)
    return Once(time.perf_counter() - started, started - begun)


def wait_until_done(device: str | None) -> None:
    wait = wait_for_devices(device)
    if wait is not None:
        wait()


def wait_for_devices(device: str | None) -> Callable[[], None] | None:
    """Waits until the devices of these calls are done; None where there is none to wait for."""
    # Where nobody has imported torch there is nothing of it to wait for.
    if device is None and "torch" not in sys.modules:
        return None
    from gradbench.measure.clock import wait_for

    return wait_for(device)


# Characters of a value in a message.
_MOST_SHOWN = 80


def in_a_line(given: object) -> str:
    """A value as a message has it: a tensor, or a module, would fill a page."""
    shown = " ".join(repr(given).split())
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


def expect_callable(name: str, given: object) -> None:
    __tracebackhide__ = True
    if not callable(given):
        raise TypeError(
            f"expected {name} to be callable; got {in_a_line(given)}; give a function or a lambda"
        )


def expect_number(name: str, given: float, least: float, reason: str) -> None:
    __tracebackhide__ = True
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(
            f"expected {name} to be a number; got {in_a_line(given)}; give a number, for example {least}"
        )
    if not least <= given or math.isinf(given):
        raise ValueError(f"expected {name} of at least {least}; got {given!r}; {reason}")
