"""The parent's end of a worker process: start it, send tasks, read answers, and notice when it is lost."""

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

# The import of torch may read from a cold network disk, and may take longer than a visit.
START_TIMEOUT = 300.0

# Names of glibc: allocations under the threshold come from the heap, and the heap keeps freed pages.
KEEP_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 34),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 26),
    # Releases of glibc that refuse a threshold beyond 32 MB accept this one.
    "MALLOC_MMAP_MAX_": "0",
}


# As `python -m gradbench.measure.worker`, but without the current folder on the path. A random.py or a
# checkout of torch there must not be imported.
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
                # Ctrl-C goes to the parent, which ends the worker.
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise RequestError(
                f"{python}: expected a Python interpreter; it cannot be started: {error.strerror}"
            ) from None
        # The thread that ends a run kills the process, and its lane may do the same at that time.
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
        # The wait for an answer notices a dead worker, with its last words.
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
            # It died inside a line, or wrote something else than a message.
            self.kill()
            raise WorkerLost("died", self._last_words()) from None
        return message

    def _last_words(self) -> str:
        self._await_exit()
        # Processes that it started may still live.
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
        """Send it one task; yield its messages until it is done.

        Raises WorkerLost when it dies, or says nothing for `timeout` seconds.
        """
        for message in self.ask(task, timeout):
            if isinstance(message, Finish):
                return
            yield message

    def ask(self, request: Task | Turn, timeout: float) -> Iterator[Message]:
        """Send it a request; yield its messages for as long as the caller reads them.

        Raises WorkerLost when it dies, or says nothing for `timeout` seconds.
        """
        self._send(request)
        while True:
            yield self._hear(timeout)

    def bind(self, processors: Set[int]) -> None:
        """Bind its first thread, and threads that it starts from now on, to these processors (Linux)."""
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self._process.pid, processors)

    def _await_exit(self) -> None:
        """Wait until it has ended, without reaping it: until then no other process gets its id."""
        if self._process.returncode is None and hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            # On Windows, and on older Pythons of macOS, processes that it started outlive it.
            self._process.wait()

    def kill(self) -> None:
        """End it now, and all processes that it started, which may outlive it.

        Once it has been reaped, its id may belong to another process or to another group.
        """
        with self._ending:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if hasattr(os, "killpg"):
                        os.killpg(self._process.pid, signal.SIGKILL)
                    else:
                        # Windows has no process groups, so processes that the worker started there outlive
                        # it.
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
        # Loading a model and calling it a few times may take as long as the import of torch.
        (message,) = worker.visit(task, START_TIMEOUT)
    return message
