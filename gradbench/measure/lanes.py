"""Lanes: passes side by side, one per processor, that end together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gradbench.measure.process import WorkerProcess

# Seconds that the main thread sleeps between looks at its lanes; a signal wakes it at once.
_LOOK_SECONDS = 0.2


class Stopped(Exception):
    """The run ends, and no longer needs the work of this lane."""


@dataclass
class Lane:
    """A place for one pass at a time.

    Attributes:
        processor: the processor that its processes are bound to; None for none.
        worker: the process that works for it now.
    """

    processor: int | None
    stop: threading.Event
    worker: WorkerProcess | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def works_with(self, worker: WorkerProcess) -> WorkerProcess:
        """Take over a process, which ends with the lane. Raises Stopped where the lane has ended."""
        with self._lock:
            self.worker = worker
            if self.stop.is_set():
                worker.kill()
                raise Stopped
        return worker

    def end(self) -> None:
        """End the process of this lane. A thread that waits for its answer gets the error that it died."""
        with self._lock:
            if self.worker is not None:
                self.worker.kill()


def run_lanes(processors: Sequence[int | None], work: Callable[[Lane], None]) -> None:
    """Run `work` for a lane on each processor, at the same time, and wait for all lanes.

    Raises the error of the first lane that fails, or KeyboardInterrupt, once all have ended.
    """
    stop = threading.Event()
    lanes = [Lane(processor, stop) for processor in processors]
    raised: list[BaseException] = []

    def one(lane: Lane) -> None:
        try:
            work(lane)
        except BaseException as error:
            # The processes of a run that ends die during their work. Only the first cause counts.
            if not stop.is_set():
                raised.append(error)
                stop.set()

    threads = [threading.Thread(target=one, args=(lane,), daemon=True) for lane in lanes]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not stop.is_set():
                thread.join(_LOOK_SECONDS)
    finally:
        # After a signal or an error no process is left behind.
        was_stopped = stop.is_set() or any(thread.is_alive() for thread in threads)
        stop.set()
        if was_stopped:
            for lane in lanes:
                lane.end()
        for thread in threads:
            # A thread that a signal kept from starting cannot be joined.
            if thread.ident is not None:
                thread.join()
    if raised:
        raise raised[0]
