"""The parent's end of a worker process: start it, give it tasks, hear it, and know when it is lost."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Set
from typing import Literal

import msgspec

from gradbench.errors import RequestError
from gradbench.measure.protocol import Finish, Message, Ready, Task, Turn, WorkerSettings
from gradbench.record.results import Allocator

# torch may come from a cold network disk; a visit may not take that long.
START_TIMEOUT = 300.0

# glibc's names: allocations under the threshold come from the heap, and the heap keeps what is freed.
KEEP_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 34),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 26),
    # Releases of glibc that refuse a threshold beyond 32 MB heed this.
    "MALLOC_MMAP_MAX_": "0",
}


# As `python -m gradbench.measure.worker`, but for the folder that the user stands in: a random.py or a
# checkout of torch there is not ours to import.
_START = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; "
    "import runpy; runpy.run_module('gradbench.measure.worker', run_name='__main__')"
)


class WorkerLost(Exception):
    """The worker died or fell silent. `kind` is a kind of Failure; the message says how it ended."""

    def __init__(self, kind: Literal["died", "hung"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


class WorkerProcess:
    """A fresh interpreter that answers tasks; use as a context manager, which leaves no process behind."""

    def __init__(
        self,
        settings: WorkerSettings,
        hash_seed: int,
        padding: int,
        allocator: Allocator,
        python: str = sys.executable,
    ) -> None:
        """Start it. `padding` bytes in its environment move its stack (Mytkowicz et al. 2009)."""
        environment = {key: value for key, value in os.environ.items() if key not in KEEP_PAGES} | {
            "PYTHONHASHSEED": str(hash_seed),
            "GRADBENCH_PADDING": "x" * padding,
            "OMP_NUM_THREADS": str(settings.threads),
            "MKL_NUM_THREADS": str(settings.threads),
        }
        if allocator == "keep":
            environment |= KEEP_PAGES
        self._python = python
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in __exit__
        try:
            self._process = subprocess.Popen(
                [python, "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                # Ctrl-C is for the parent, which ends the worker itself.
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise RequestError(
                f"{python}: expected a Python interpreter; it cannot be started: {error.strerror}"
            ) from None
        # Whoever ends a run kills it while its lane may do the same.
        self._ending = threading.Lock()
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._decoder = msgspec.json.Decoder(Message)
        self._send(settings)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._errors.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _send(self, message: WorkerSettings | Task | Turn) -> None:
        assert self._process.stdin is not None
        # A dead worker is noticed where its answer is awaited, with its last words.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode(message) + b"\n")
            self._process.stdin.flush()

    def _hear(self, timeout: float) -> Message:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise WorkerLost("hung", f"silent for {timeout:.0f} s; the process was ended") from None
        if line is None:
            raise WorkerLost("died", self._last_words())
        try:
            message: Message = self._decoder.decode(line)
        except msgspec.DecodeError:
            # It died inside a line, or said what is not ours to hear.
            self.kill()
            raise WorkerLost("died", self._last_words()) from None
        return message

    def _last_words(self) -> str:
        self._await_exit()
        # What it started may still live.
        self.kill()
        code = self._process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = next((line for line in reversed(lines) if line and not line.startswith("USDT:")), "")
        return f"the process ended ({how})" + (f": {said[:300]}" if said else "")

    def ready(self) -> Ready:
        """Wait until it has imported torch. Raises RequestError, with the reason, if it cannot."""
        try:
            message = self._hear(START_TIMEOUT)
        except WorkerLost as lost:
            if "No module named gradbench" in str(lost) or "No module named 'gradbench" in str(lost):
                raise RequestError(
                    f"{self._python}: expected this version of gradbench there; it has another or none; "
                    "install this one there"
                ) from None
            raise RequestError(
                f"a measuring process could not start: {lost}; "
                f"check `{self._python} -c 'import gradbench.measure.worker'`"
            ) from None
        assert isinstance(message, Ready)
        return message

    def visit(self, task: Task, timeout: float) -> Iterator[Message]:
        """Give it one task; yield what it says until it is done.

        Raises WorkerLost when it dies, or says nothing for `timeout` seconds.
        """
        for message in self.ask(task, timeout):
            if isinstance(message, Finish):
                return
            yield message

    def ask(self, request: Task | Turn, timeout: float) -> Iterator[Message]:
        """Send it a request; yield what it says, for as long as it is listened to.

        Raises WorkerLost when it dies, or says nothing for `timeout` seconds.
        """
        self._send(request)
        while True:
            yield self._hear(timeout)

    def bind(self, processors: Set[int]) -> None:
        """Have its first thread, and those that it starts from now on, run on these alone (Linux)."""
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self._process.pid, processors)

    def _await_exit(self) -> None:
        """Wait until it has ended, and leave it to be waited for: until then its id is no other process's."""
        if self._process.returncode is None and hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            # On Windows, and on older Pythons of macOS, what it started outlives it.
            self._process.wait()

    def kill(self) -> None:
        """End it now, and whatever it started, which may still live when it does not.

        Once it has been waited for, its id may be that of another process, or of another's group.
        """
        with self._ending:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if hasattr(os, "killpg"):
                        os.killpg(self._process.pid, signal.SIGKILL)
                    else:
                        # Windows has no groups to end: what the worker started there outlives it.
                        self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()


def ask_fresh(settings: WorkerSettings, task: Task) -> Message:
    """The one answer of a fresh process to a task. Raises WorkerLost, and RequestError where none starts."""
    with WorkerProcess(settings, 0, 0, "system") as worker:
        worker.ready()
        # To load a model and to call it a few times may take as long as torch itself.
        (message,) = worker.visit(task, START_TIMEOUT)
    return message
