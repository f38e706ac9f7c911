"""The clock of an accelerator, whose work is issued by the host and done later by the device.

A call has three times, from two kinds of batches. Both begin with an empty queue, and use the current stream.
A backward runs on a thread of autograd and on the stream of its forward, and the host waits for that thread.

    wall batch:    synchronize | clock | n calls | clock | synchronize | clock
                   the host time to issue, and the wall time with one synchronisation
    device batch:  synchronize | spin | event | n calls | event | synchronize
                   the device time between the events: the device spins until all calls are issued, so that it
                   never waits for the host between them

The first event shows whether the device was still spinning when the last call was issued. Where it was not,
the clock makes the spin longer. That does not help a statement that waits for the device, or one that
launches more than the queue holds. Then there is no device time, since the clock would measure the host's.

The queue holds about 1,000 launches, and a launch takes the host at least 2 µs. So a batch that is issued
within a millisecond cannot fill it. A single call may take longer, and launch more.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from gradbench.measure.calibration import calibrate
from gradbench.measure.environment import why_no_cuda
from gradbench.measure.variant import ReadyVariant
from gradbench.record.devices import KINDS

# Long against one synchronisation (some 10 µs), short enough that its launches fit the queue.
BATCH_SECONDS = 1e-3
# Calls of each variant before the timing: the first use of a kernel loads it, and makes workspaces.
WARM_CALLS = 3
# At first the spin is this many times as long as the calls and the pair of events take to issue.
SPIN_MARGIN = 2.0
# This many pairs of events show the host's time for one pair.
_TRIAL_PAIRS = 5
# A spin that was too short is doubled, up to this factor, in this many attempts at one batch. A single
# failure may come from a delay of the host. After this many batches in a row that were given up, the variant
# counts as one that waits for the device.
MOST_MARGIN = 16.0
ATTEMPTS = 5
# The longest spin. A call that takes the host longer to issue fills the queue behind the spin, and then waits
# for any spin to end.
LONGEST_SPIN_SECONDS = 0.05
GIVEN_UP = 2
# Events have a resolution of half a microsecond (the documentation of cudaEventElapsedTime).
RESOLUTION_SECONDS = 0.5e-6
# The length of this spin shows how fast the device counts.
_TRIAL_CYCLES = 1_000_000


class Event(Protocol):
    """A place in the device's queue, and the time at which the device passed it."""

    def record(self) -> object: ...

    def query(self) -> bool: ...

    def elapsed_time(self, end: Any) -> float: ...


class Accelerator:
    """All calls to one accelerator, so that tests can replace it by a simulated one.

    Attributes:
        device: as torch names it, such as `cuda:0`.
    """

    def __init__(self, device: str, module: Any = None, current: bool = True) -> None:
        """Make it the current device, unless `current` is False.

        `module` is torch.cuda, or an object with the same names.
        """
        self.device = device
        self._module = torch.get_device_module(device) if module is None else module
        if current:
            self._module.set_device(device)

    def synchronize(self) -> None:
        """Wait until the device has finished all issued work."""
        self._module.synchronize(self.device)

    def event(self) -> Event:
        """An event that records the time."""
        event: Event = self._module.Event(enable_timing=True)
        return event

    def spin(self, cycles: int) -> None:
        """Keep the device busy for this many of its cycles, without the host."""
        self._module._sleep(cycles)

    def give_back(self) -> None:
        """Return to the device the memory that torch caches."""
        self._module.empty_cache()

    def uuid(self) -> str | None:
        """The unique identifier of the device; None where this release of torch does not report it."""
        found = getattr(self._module.get_device_properties(self.device), "uuid", None)
        return None if found is None else str(found)

    def free(self) -> int:
        """Bytes of its memory that nobody uses."""
        return int(self._module.mem_get_info(self.device)[0])

    def statistics(self) -> dict[str, int]:
        """The counters of torch's allocator for it."""
        counters: dict[str, int] = self._module.memory_stats(self.device)
        return counters

    def reset_peaks(self) -> None:
        """Have the counters' peaks begin again at what is live."""
        self._module.reset_peak_memory_stats(self.device)


def in_use(device: str | None = None) -> list[Accelerator]:
    """The accelerators whose work this process may have to wait for; the current device stays unchanged.

    Args:
        device: the only device to return; `cpu` returns none. None returns each device on which torch has
            taken memory.

    Raises ValueError for a device that torch cannot use here, or that there is no clock for.
    """
    kind, _, index = ("cuda" if device is None else str(device)).partition(":")
    if kind not in KINDS:
        raise ValueError(
            f"expected a device of {' or '.join(KINDS)}; got {device}; there is no clock for it yet"
        )
    if kind == "cpu":
        return []
    module = torch.get_device_module(kind)
    if device is None:
        # Before its first use a device has no work, and this check must not be the first use.
        if not module.is_initialized():
            return []
        held = [each for each in range(module.device_count()) if module.memory_reserved(each)]
        return [Accelerator(f"{kind}:{each}", module=module, current=False) for each in held]
    here = [str(each) for each in range(module.device_count())]
    index = index or (str(module.current_device()) if here else "")
    if index not in here:
        raise ValueError(
            f"expected a device that torch finds here; got {device}; "
            f"it finds {', '.join(f'{kind}:{each}' for each in here) or f'none: {why_no_cuda()}'}"
        )
    return [Accelerator(f"{kind}:{index}", module=module, current=False)]


def wait_for(device: str | None = None) -> Callable[[], None] | None:
    """A function that waits until all devices `in_use` have finished their work; None without devices."""
    accelerators = in_use(device)
    if not accelerators:
        return None

    def wait() -> None:
        for each in accelerators:
            each.synchronize()

    return wait


class _Wall:
    """Host and wall time between begin and end, in nanoseconds, added up."""

    def __init__(self, synchronize: Callable[[], None], clock: Callable[[], int]) -> None:
        self._synchronize = synchronize
        self._clock = clock
        self._started = 0
        self.host = self.wall = self.times = 0

    def begin(self) -> None:
        self._synchronize()
        self._started = self._clock()

    def end(self) -> None:
        issued = self._clock()
        self._synchronize()
        finished = self._clock()
        self.host += issued - self._started
        self.wall += finished - self._started
        self.times += 1


class _Device:
    """Device time between begin and end, in nanoseconds, added up; whether the spin covered it."""

    def __init__(self, accelerator: Accelerator, cycles: int) -> None:
        self._accelerator = accelerator
        self._cycles = cycles
        self._start, self._stop = accelerator.event(), accelerator.event()
        self.device = 0.0
        self.covered = True

    def begin(self) -> None:
        self._accelerator.synchronize()
        self._accelerator.spin(self._cycles)
        self._start.record()

    def end(self) -> None:
        self._stop.record()
        # A device that has already reached the first event has waited for the host since then.
        if self._start.query():
            self.covered = False
        self._accelerator.synchronize()
        self.device += 1e6 * self._start.elapsed_time(self._stop)


class DeviceClock:
    """Times the variants of a comparison on an accelerator. Errors of a variant pass through."""

    def __init__(self, accelerator: Accelerator, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """`clock` is the host's, in nanoseconds."""
        self._accelerator = accelerator
        self._clock = clock
        self._cycles_per_ns = self._count()
        self._pair = self._events()
        # By variant: the host's time for one interval in the last wall batch, and the spin's margin over it.
        self._issue: dict[int, float] = {}
        self._margin: dict[int, float] = {}
        # By variant, how many batches in a row were given up.
        self._given_up: dict[int, int] = {}

    def _count(self) -> float:
        """Cycles of the device's counter in a nanosecond."""
        measured = 0.0
        # The first spin loads the kernel.
        for _ in range(2):
            start, stop = self._accelerator.event(), self._accelerator.event()
            self._accelerator.synchronize()
            start.record()
            self._accelerator.spin(_TRIAL_CYCLES)
            stop.record()
            self._accelerator.synchronize()
            measured = 1e6 * start.elapsed_time(stop)
        if measured <= 0:
            raise RuntimeError(
                f"{self._accelerator.device}: its events take no time: {measured} ns for a spin"
            )
        return _TRIAL_CYCLES / measured

    def _events(self) -> float:
        """The host's time for a pair of events and the query of the first, which the spin covers as well.

        For a call that takes less time, this is most of the time to cover.
        """
        taken = []
        for _ in range(_TRIAL_PAIRS):
            start, stop = self._accelerator.event(), self._accelerator.event()
            self._accelerator.synchronize()
            begun = self._clock()
            start.record()
            stop.record()
            start.query()
            taken.append(self._clock() - begun)
        return statistics.median(taken)

    def calibrate(self, ready: ReadyVariant, wanted: float) -> int:
        """Warm a variant up, and choose the calls of its batches: about `wanted` seconds, setups included."""
        ready.batch_marked(WARM_CALLS, self._wall())

        def batch(n: int) -> int:
            started = self._clock()
            ready.batch_marked(n, self._wall())
            return self._clock() - started

        return calibrate(batch, wanted)

    def _wall(self) -> _Wall:
        return _Wall(self._accelerator.synchronize, self._clock)

    def wall(self, ready: ReadyVariant, n: int) -> tuple[float, float]:
        """A wall batch: nanoseconds of the host to issue n calls, and until the device had done them."""
        wall = self._wall()
        ready.batch_marked(n, wall)
        self._issue[id(ready)] = wall.host / wall.times
        return wall.host, wall.wall

    def device(self, ready: ReadyVariant, n: int) -> float:
        """A device batch, after a wall batch of the variant: nanoseconds of the device for n calls.

        NaN where the device waited for the host, no matter how long the spin was. That shows a statement that
        waits for the device, or that fills its queue. The clock soon stops trying with such a variant.
        """
        key = id(ready)
        if self._given_up.get(key, 0) >= GIVEN_UP:
            return math.nan
        margin = self._margin.get(key, SPIN_MARGIN)
        for _ in range(ATTEMPTS):
            cycles = math.ceil(margin * (self._issue[key] + self._pair) * self._cycles_per_ns)
            device = _Device(self._accelerator, cycles)
            ready.batch_marked(n, device)
            if device.covered:
                self._given_up.pop(key, None)
                return device.device
            if cycles / self._cycles_per_ns >= 1e9 * LONGEST_SPIN_SECONDS:
                break
            self._margin[key] = margin = min(2 * margin, MOST_MARGIN)
        self._given_up[key] = self._given_up.get(key, 0) + 1
        return math.nan
