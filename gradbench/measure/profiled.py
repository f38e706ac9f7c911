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

# The profiler would say on standard error that it starts and stops, hundreds of times in a notebook. It reads
# this when it is first used.
os.environ.setdefault("KINETO_LOG_LEVEL", "9")


# The ranges that stand between the parts of what is profiled.
_MARK = "gradbench mark "
_LINE = "gradbench line "
# In each thread that is entered while all are recorded.
_THREAD = "gradbench thread"


class Event(NamedTuple):
    """An allocation, or a release with a negative size, in nanoseconds of the system's clock and bytes."""

    time: int
    size: int


class Profiled:
    """A profile of memory: what is done while it runs, and what it has seen once it has ended.

    Attributes:
        suspects: whether threads ran that could not be entered.
    """

    def __init__(self, profiler: profile) -> None:
        self.suspects = False
        self._profiler = profiler
        self._marks = 0
        # By the marks that were set when the work began: the events of a piece of work in another thread.
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
        """The range of a line of a statement, in the part that was marked last."""
        line: contextlib.AbstractContextManager[Any] = record_function(f"{_LINE}{self._marks} {number}")
        return line

    @property
    def threads(self) -> int:
        """How many other threads have worked."""
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
        """When each of so many lines after a mark ended."""
        ends = self._ends(f"{_LINE}{begin + 1} ")
        return [ends[str(number)] for number in range(count)]

    def _read(self, times: dict[str, int]) -> list[Event]:
        events = [
            Event(event.start_ns(), event.nbytes())
            for event in self._profiler.profiler.kineto_results.events()
            # Where torch uses another device the profiler sees its allocator as well.
            if event.name() == "[memory]" and event.device_type() == DeviceType.CPU
        ]
        for marks, found in self._others:
            # The caller waited for them, so they lie between its marks, whatever the two clocks say.
            least = times.get(str(marks - 1), 0) + 1
            most = times.get(str(marks), max((each.time for each in found), default=0))
            events += [Event(min(max(each.time, least), most), each.size) for each in found]
        # The stable sort keeps the order of events within one nanosecond.
        return sorted(events, key=lambda event: event.time)

    def _ends(self, prefix: str) -> dict[str, int]:
        """When each range ended whose name begins so, by the rest of its name."""
        return {
            event.name().removeprefix(prefix): event.start_ns() + event.duration_ns()
            for event in self._profiler.profiler.kineto_results.events()
            if event.name().startswith(prefix)
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have other threads profiled as well, each by the older profiler, which may run in several."""
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
    """Start torch's older profiler in this thread. Raises AttributeError or TypeError where there is none."""
    autograd = torch.autograd
    config = torch._C._profiler._ExperimentalConfig()
    state = autograd.ProfilerState.CPU
    profile_memory = True
    autograd._enable_profiler_legacy(
        autograd.ProfilerConfig(state, False, profile_memory, False, False, False, config)
    )


def _disable() -> list[Event]:
    """Stop it; what it has seen of memory."""
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

    There is one; to ask it to keep all (`acc_events`) makes each use ten times as dear.
    """
    with contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Warning: Profiler clears events")
            stack.enter_context(profiler)
        yield profiler


@contextmanager
def uncollected() -> Iterator[None]:
    """With the collector off: what it releases of others would be counted among what is measured."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def worked_unseen(execute: Callable[[], object]) -> bool:
    """Whether an execution has operators run in threads that cannot be entered, by torch's record of all.

    True as well where this release of torch has no record of all threads.
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
