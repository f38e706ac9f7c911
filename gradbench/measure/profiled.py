"""The memory events of torch's profiler: one for each allocation and release on the CPU, with its bytes."""

from __future__ import annotations

import contextlib
import gc
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from gradbench.measure.threads import Elsewhere, Unseen, other_threads

# The profiler would print on standard error that it starts and stops, hundreds of times in a notebook. It
# reads this variable at its first use.
os.environ.setdefault("KINETO_LOG_LEVEL", "9")


# The ranges between the parts of a profile.
_MARK = "gradbench mark "
_LINE = "gradbench line "
# A range in each thread that is entered during the record of all threads.
_THREAD = "gradbench thread"


class Event(NamedTuple):
    """An allocation, or a release with a negative size, in nanoseconds of the system's clock and bytes."""

    time: int
    size: int


class Profiled:
    """A profile of memory: marks while it runs, and its events once it has ended.

    Attributes:
        suspects: whether threads ran that could not be entered.
    """

    def __init__(self, profiler: profile) -> None:
        self.suspects = False
        self._profiler = profiler
        self._marks = 0
        # The events of a piece of work in another thread, by the number of marks when the work began.
        self._others: list[tuple[int, list[Event]]] = []
        self._blind = False
        self._elsewhere: Elsewhere | None = None
        self._events: list[Event] | None = None

    def mark(self) -> int:
        """Set a mark here, once other threads are done; returns its number, from 0."""
        if self._elsewhere is not None:
            self._elsewhere.settle()
        with record_function(f"{_MARK}{self._marks}"):
            self._marks += 1
        return self._marks - 1

    def line(self, number: int) -> contextlib.AbstractContextManager[Any]:
        """The range of a line of a statement, after the last mark."""
        line: contextlib.AbstractContextManager[Any] = record_function(f"{_LINE}{self._marks} {number}")
        return line

    @property
    def threads(self) -> int:
        """The number of other threads that have worked."""
        return 0 if self._elsewhere is None else len(self._elsewhere.threads)

    def between(self, begin: int, end: int) -> list[Event]:
        """The events from one mark to another. Raises Unseen where another thread had no profiler."""
        if self._blind:
            raise Unseen(
                "expected work in the caller's thread, or a torch whose profiler can be started in others; "
                "this one's cannot: call the model in the caller's thread"
            )
        times = self._ends(_MARK)
        if self._events is None:
            self._events = self._read(times)
        return [each for each in self._events if times[str(begin)] < each.time <= times[str(end)]]

    def ends_of_lines(self, begin: int, count: int) -> list[int]:
        """The end times of the first `count` lines after a mark."""
        ends = self._ends(f"{_LINE}{begin + 1} ")
        return [ends[str(number)] for number in range(count)]

    def _read(self, times: dict[str, int]) -> list[Event]:
        events = [
            Event(event.start_ns(), event.nbytes())
            for event in self._profiler.profiler.kineto_results.events()
            # Where torch uses another device the profiler also sees the allocator of that device.
            if event.name() == "[memory]" and event.device_type() == DeviceType.CPU
        ]
        for marks, found in self._others:
            # The caller waited for these events, so they lie between its marks, even if the two clocks
            # disagree.
            least = times.get(str(marks - 1), 0) + 1
            most = times.get(str(marks), max((each.time for each in found), default=0))
            events += [Event(min(max(each.time, least), most), each.size) for each in found]
        # The stable sort keeps the order of events within one nanosecond.
        return sorted(events, key=lambda event: event.time)

    def _ends(self, prefix: str) -> dict[str, int]:
        """The end of each range whose name begins with `prefix`, by the rest of its name."""
        return {
            event.name().removeprefix(prefix): event.start_ns() + event.duration_ns()
            for event in self._profiler.profiler.kineto_results.events()
            if event.name().startswith(prefix)
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Profile other threads as well, with the older profiler, which may run in several threads."""
        with other_threads(self._in_thread) as self._elsewhere:
            yield
            self._elsewhere.settle()
            self.suspects = self._elsewhere.suspects()

    @contextmanager
    def _in_thread(self) -> Iterator[None]:
        marks = self._marks
        try:
            _enable()
        except (AttributeError, TypeError):
            self._blind = True
            yield
            return
        try:
            yield
        finally:
            self._others.append((marks, _disable()))


def _enable() -> None:
    """Start torch's older profiler in this thread. Raises AttributeError or TypeError if it is missing."""
    autograd = torch.autograd
    config = torch._C._profiler._ExperimentalConfig()
    state = autograd.ProfilerState.CPU
    profile_memory = True
    autograd._enable_profiler_legacy(
        autograd.ProfilerConfig(state, False, profile_memory, False, False, False, config)
    )


def _disable() -> list[Event]:
    """Stop it, and return its memory events."""
    lists = torch.autograd._disable_profiler_legacy()
    start = lists[0][0]
    begun = round(start.start_us() * 1000)
    return [
        Event(begun + round(start.cpu_elapsed_us(each) * 1000), each.cpu_memory_usage())
        for events in lists
        for each in events
        if each.kind() == "memory_alloc" and each.cpu_memory_usage()
    ]


@contextmanager
def profiled() -> Iterator[Profiled]:
    """Profile memory, with the collector off."""
    profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    made = Profiled(profiler)
    with uncollected(), started(profiler), made.watched():
        yield made


@contextmanager
def started(profiler: profile) -> Iterator[profile]:
    """The profiler, started, without the warning of torch 2.11 that it forgets one cycle with the next.

    This code has only one cycle. The option to keep all cycles (`acc_events`) makes every use ten times as
    slow.
    """
    with contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Warning: Profiler clears events")
            stack.enter_context(profiler)
        yield profiler


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch the collector off. Its releases of other objects would count in the measurement."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def worked_unseen(execute: Callable[[], object]) -> bool:
    """Whether an execution runs operators in threads that cannot be entered, by torch's record of all
    threads.

    Also true where this release of torch has no such record.
    """
    try:
        config = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    except TypeError:
        return True
    profiler = profile(activities=[ProfilerActivity.CPU], experimental_config=config)
    with other_threads(lambda: record_function(_THREAD)) as elsewhere, started(profiler):
        with record_function(_THREAD):
            execute()
        elsewhere.settle()
    events = profiler.profiler.kineto_results.events()
    known = {each.start_thread_id() for each in events if each.name() == _THREAD}
    return any(each.name().startswith("aten::") and each.start_thread_id() not in known for each in events)
