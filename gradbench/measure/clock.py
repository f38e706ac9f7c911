"""The clock of an accelerator, whose work is issued by the host and done later by the device.

Three times are taken of a call, by two kinds of batches. Both begin with an empty queue, and use the current
stream; a backward runs on a thread of autograd's own and on the stream of its forward, and the host waits
for that thread.

    wall batch:    synchronize | clock | n calls | clock | synchronize | clock
                   the host time to issue, and the wall time with one synchronisation
    device batch:  synchronize | spin | event | n calls | event | synchronize
                   the device time between the events: the device spins until all calls are issued, so that it
                   never waits for the host between them

That the device was still spinning when the last call was issued is asked of the first event. Where it was
not, the spin is made longer; where that does not help (a statement that waits for the device, or one that
launches more than the queue holds), there is no device time, since what was measured would be the host's.

The queue holds about 1,000 launches, and a launch takes the host 2 µs at the least: a batch that is issued
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
# Calls of each variant before anything is timed: kernels are loaded and workspaces made when first used.
WARM_CALLS = 3
# The spin is so many times as long as the calls and the pair of events take to issue, at first.
SPIN_MARGIN = 2.0
# So many pairs of events are issued to know what one takes the host.
_TRIAL_PAIRS = 5
# Where that was too short it is doubled, up to this, in so many attempts at one batch. Once the host may have
# been held up; a variant of which so many batches in a row were given up is taken to wait for the device
# itself.
MOST_MARGIN = 16.0
ATTEMPTS = 5
# After a spin of this length there is no longer one: a call that takes the host so long to issue fills the
# queue behind it, and then waits for the spin, however long that is.
LONGEST_SPIN_SECONDS = 0.05
GIVEN_UP = 2
# Events are told apart from half a microsecond on (the documentation of cudaEventElapsedTime).
RESOLUTION_SECONDS = 0.5e-6
# The spin whose length says how fast the device counts.
_TRIAL_CYCLES = 1_000_000


class Event(Protocol):
    """A place in the device's queue, and the time at which the device passed it."""

    def record(self) -> object: ...

    def query(self) -> bool: ...

    def elapsed_time(self, end: Any) -> float: ...


class Accelerator:
    """What is asked of one accelerator, and nothing else: a simulated one stands in for tests.

    Attributes:
        device: as torch names it, such as `cuda:0`.
    """

    def __init__(self, device: str, module: Any = None, current: bool = True) -> None:
        """Make it the current device, unless that is not wanted.

        `module` is torch.cuda, or what has its names.
        """
        self.device = device
        self._module = torch.get_device_module(device) if module is None else module
        if current:
            self._module.set_device(device)

    def synchronize(self) -> None:
        """Wait until the device has done all that was issued."""
        self._module.synchronize(self.device)

    def event(self) -> Event:
        """An event that takes the time."""
        event: Event = self._module.Event(enable_timing=True)
        return event

    def spin(self, cycles: int) -> None:
        """Keep the device busy for so many of its cycles, without the host."""
        self._module._sleep(cycles)

    def give_back(self) -> None:
        """Return to the device what torch keeps of its memory for later."""
        self._module.empty_cache()

    def uuid(self) -> str | None:
        """What tells it from all other devices; None where this release of torch does not say."""
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
    """The accelerators whose work this process may have to wait for; none is made the current one.

    Args:
        device: the one that is meant; `cpu` is none. None is each that torch has taken memory of.

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
        # Before its first use there is nothing to wait for, and asking must not be that use.
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
    """Waits until those of `in_use` have done all that was issued; None where there is none."""
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
    """Device time between begin and end, in nanoseconds, added up; whether it was covered by the spin."""

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
        # Where the device has reached the first event already, it has waited for the host since.
        if self._start.query():
            self.covered = False
        self._accelerator.synchronize()
        self.device += 1e6 * self._start.elapsed_time(self._stop)


class DeviceClock:
    """Times the variants of a comparison on an accelerator. Whatever a variant raises passes through."""

    def __init__(self, accelerator: Accelerator, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        """`clock` is the host's, in nanoseconds."""
        self._accelerator = accelerator
        self._clock = clock
        self._cycles_per_ns = self._count()
        self._pair = self._events()
        # By variant: what the host took for one interval in the last wall batch, and the spin's margin over
        # it.
        self._issue: dict[int, float] = {}
        self._margin: dict[int, float] = {}
        # How many of its batches in a row were given up.
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
        """What a pair of events, and the question to the first, take the host: the spin covers that as well.

        Of a call that takes less than they do it is most of what must be covered.
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

        NaN where the device waited for the host however long the spin was, which is what a statement that
        waits for the device, or that fills its queue, looks like; such a variant is soon not asked any more.
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
