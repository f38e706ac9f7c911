"""The process of a tool: its run in a folder, its output, and the reason of a failure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from studies.instrument.peers.conditions import pin

ROOT = Path(__file__).parents[3]


class Failed(Exception):
    """A tool gave no answer; the message is the reason."""


def execute(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    timeout: float = 60.0,
    core: int | None = None,
    given: str = "",
) -> str:
    """Run a command in a folder, and return its output. Raises Failed if it fails or takes too long."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=pin(core),
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"{Path(command[0]).name} cannot be started: {error.strerror}") from None
    try:
        printed, complaint = process.communicate(given, timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"no answer within {timeout:.0f} s; it was ended") from None
        raise
    if process.returncode:
        lines = (complaint.strip() or printed.strip()).splitlines()
        reason = lines[-1] if lines else ""
        for private in (str(folder), sys.prefix, str(ROOT), str(Path.home())):
            reason = reason.replace(private, "…")
        raise Failed(f"exit code {process.returncode}: {reason[:300]}")
    return printed
