"""Work that a call hands to other threads: entered there, or noticed where it cannot be entered.

Hooks, dispatch modes and profilers of torch belong to a thread. What an executor runs, and a thread that the
call starts, can be entered in its thread. A thread that was started before and takes its work from somewhere
else cannot: there torch's own record of operators tells whether it worked.
"""

from __future__ import annotations

import concurrent.futures.thread
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# An executor hands its result over before its thread is done with the work, by microseconds.
_PATIENCE_SECONDS = 10.0


class Unseen(Exception):
    """Work that was done where nothing could watch it, so that its bytes are not known."""


class Elsewhere:
    """The work of a call in other threads.

    Attributes:
        threads: those in which work was entered.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[Any]]) -> None:
        self.threads: set[int] = set()
        self._make = make
        self._caller = threading.get_ident()
        self._inside: set[int] = set()
        self._changed = threading.Condition()
        self._before = _processor_times()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """In the thread that runs this, unless it is the caller's, or is inside already."""
        here = threading.get_ident()
        if here == self._caller or here in self._inside:
            yield
            return
        with self._changed:
            self._inside.add(here)
            self.threads.add(here)
        try:
            with self._make():
                yield
        finally:
            with self._changed:
                self._inside.discard(here)
                self._changed.notify_all()

    def settle(self) -> None:
        """Wait until no thread is inside. Raises Unseen where one goes on."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._inside, _PATIENCE_SECONDS):
                raise Unseen(
                    "expected all threads to be done when the call returns; one that it started still works; "
                    "join it in the call, or call the model in the caller's thread"
                )

    def suspects(self) -> bool:
        """Whether a thread of Python ran meanwhile in which no work was entered."""
        return any(
            spent is None or spent != self._before.get(thread, 0)
            for thread, spent in _processor_times().items()
            if thread not in self.threads
        )


def _processor_times() -> dict[int, int | None]:
    """Nanoseconds that each other thread of Python has run; None where the system does not say.

    Threads that are not Python's are autograd's.
    """
    return {
        each.ident: _processor_time(each)
        for each in threading.enumerate()
        if each.ident not in (None, threading.get_ident()) and not isinstance(each, threading._DummyThread)
    }


def _processor_time(thread: threading.Thread) -> int | None:
    if sys.platform != "linux" or thread.native_id is None:
        return None
    try:
        # The clock of a thread by its number, as clock_getcpuclockid makes it; of an ended one it is refused.
        return time.clock_gettime_ns(~thread.native_id << 3 | 6)
    except OSError:
        return None


@contextmanager
def other_threads(make: Callable[[], AbstractContextManager[Any]]) -> Iterator[Elsewhere]:
    """Have work in other threads run within a context that `make` makes for it, in its thread."""
    elsewhere = Elsewhere(make)
    item, thread = concurrent.futures.thread._WorkItem, threading.Thread
    run_item, start_thread = item.run, thread.start

    def run(self: Any, *args: Any) -> None:
        with elsewhere.entered():
            try:
                run_item(self, *args)
            finally:
                # What the work was given is let go of inside, where that is seen.
                vars(self).clear()

    def start(self: threading.Thread) -> None:
        # A thread of an executor lives on; each piece of its work is entered by itself.
        if getattr(self, "_target", None) is not concurrent.futures.thread._worker:
            _enter_run(self, elsewhere)
        start_thread(self)

    item.run, thread.start = run, start  # type: ignore[method-assign]
    try:
        yield elsewhere
    finally:
        item.run, thread.start = run_item, start_thread  # type: ignore[method-assign]


def _enter_run(thread: threading.Thread, elsewhere: Elsewhere) -> None:
    before = vars(thread).get("run")
    run = thread.run

    def entered() -> None:
        # Back to what it was: the thread would hold itself.
        vars(thread).pop("run", None)
        if before is not None:
            vars(thread)["run"] = before
        with elsewhere.entered():
            run()

    vars(thread)["run"] = entered
