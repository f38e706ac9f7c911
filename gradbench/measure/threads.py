"""Work that a call hands to other threads: entered there, or noticed where it cannot be entered.

Hooks, dispatch modes and profilers of torch belong to a thread. Work of an executor, and of a thread that the
call starts, can be entered in its thread. A thread that was started before and takes its work from elsewhere
cannot be entered. For it torch's record of operators shows whether it worked.
"""

from __future__ import annotations

import concurrent.futures.thread
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# An executor returns its result some microseconds before its thread is done with the work.
_PATIENCE_SECONDS = 10.0


class Unseen(Exception):
    """Work ran in a thread without a watch, so that its bytes are unknown."""


class Elsewhere:
    """The work of a call in other threads.

    Attributes:
        threads: threads in which work was entered.
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
        """Enter the current thread, unless it is the caller's, or is entered already."""
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
        """Wait until no entered thread works. Raises Unseen where one goes on."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._inside, _PATIENCE_SECONDS):
                raise Unseen(
                    "expected all threads to be done when the call returns; one that it started still works; "
                    "join it in the call, or call the model in the caller's thread"
                )

    def suspects(self) -> bool:
        """Whether a Python thread ran in the meantime without an entry."""
        return any(
            spent is None or spent != self._before.get(thread, 0)
            for thread, spent in _processor_times().items()
            if thread not in self.threads
        )


def _processor_times() -> dict[int, int | None]:
    """Nanoseconds that each other Python thread has run; None where the system does not report them.

    Threads outside Python are autograd's.
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
        # The clock of a thread by its number, as clock_getcpuclockid makes it. The system refuses it for an
        # ended thread.
        return time.clock_gettime_ns(~thread.native_id << 3 | 6)
    except OSError:
        return None


@contextmanager
def other_threads(make: Callable[[], AbstractContextManager[Any]]) -> Iterator[Elsewhere]:
    """Run work of other threads within a context that `make` makes for it, in its thread."""
    elsewhere = Elsewhere(make)
    item, thread = concurrent.futures.thread._WorkItem, threading.Thread
    run_item, start_thread = item.run, thread.start

    def run(self: Any, *args: Any) -> None:
        with elsewhere.entered():
            try:
                run_item(self, *args)
            finally:
                # Release the arguments of the work inside the context, where the release is seen.
                vars(self).clear()

    def start(self: threading.Thread) -> None:
        # A thread of an executor lives on, so each piece of its work is entered separately.
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
        # Restore the method, since the thread would otherwise hold itself.
        vars(thread).pop("run", None)
        if before is not None:
            vars(thread)["run"] = before
        with elsewhere.entered():
            run()

    vars(thread)["run"] = entered
