"""The entry point: the commands, and what of them a shell sees: exit codes, signals, one line per error."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Sequence

import click

from gradbench import __version__
from gradbench.cli import comparing, machine, op, reading, running
from gradbench.cli.completion import answer_shell
from gradbench.cli.messages import say
from gradbench.errors import EndedEarly, GradbenchError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gradbench")
def cli() -> None:
    """Measure what each way of controlling gradients in PyTorch costs here, in time and memory.

    Exit codes: 0 done; 1 done, and something is worse (compare, versus); 2 the request was wrong; 3 ended
    early, or nothing could be measured, and says what is kept.
    """


# Each command imports what it needs when it is called, so that help and lists answer at once.
for _command in (
    running.run, running.model, op.op,
    reading.report, reading.figures, reading.export, reading.traits, reading.claims,
    comparing.compare, comparing.versus,
    machine.list_, machine.doctor,
):  # fmt: skip
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit; every error that a user can cause is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, or that the locale has no letters for, is shown by escapes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Who cancels a job sends SIGTERM: it ends a run as Ctrl-C does, with what is kept.
    # Only the main thread may set a handler; one that was not set from Python is none that can be put back.
    alone = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if alone else None
    try:
        code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _invoke(arguments: list[str]) -> int:
    """Answer a shell that completes, or call the command; the exit code where nothing is raised."""
    completed = answer_shell(cli)
    if completed is None:
        # Not click's own main: it answers an interrupt and a closed pipe with codes of its own.
        with cli.make_context("gradbench", arguments or ["--help"]) as context:
            cli.invoke(context)
    sys.stdout.flush()
    return completed or 0


def _exit_code(arguments: list[str]) -> int:
    """What the command ends with; an error is told on the way."""
    try:
        return _invoke(arguments)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except GradbenchError as error:
        say("stopped" if isinstance(error, EndedEarly) else "error", str(error))
        return error.exit_code
    except click.UsageError as error:
        hint = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        say("error", error.format_message().rstrip(".") + hint)
    except (KeyboardInterrupt, click.Abort):
        say("stopped", "interrupted; nothing was written")
        return 3
    except BrokenPipeError:
        # The reader has what it wanted. What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say("error", f"{where}{error.strerror or error}; name another file or folder")
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("", "gradbench"):
            raise
        say("error", f"{name} is not installed, which this needs; `{sys.executable} -m pip install {name}`")
    return 2
