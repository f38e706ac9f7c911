"""The entry point: the commands, exit codes, signals, and one line for each error."""

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


class InOrder(click.Group):
    """A group that lists its commands in the order of their addition, and not by the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gradbench", help="Show the version and exit.")
def cli() -> None:
    """Measure the time and memory that each method of controlling gradients in PyTorch costs here.

    \b
    Exit codes:
      0  done.
      1  done, and something is worse (compare, versus).
      2  the request was wrong.
      3  ended early, or nothing could be measured; the message names the results that are kept.
    """


# The order is that of `gradbench --help`: a user asks for the first commands first. A command imports what it
# needs when it is called, so that help and lists answer at once.
for _command in (
    running.run, running.model, op.op,
    reading.report, reading.claims, comparing.versus, comparing.compare,
    reading.traits, reading.export, reading.figures,
    machine.list_, machine.doctor,
):  # fmt: skip
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit. An error that a user can cause is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        # Escapes show a name that is no text, or that the locale has no letters for.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Job systems send SIGTERM to cancel: it ends a run as Ctrl-C does, and keeps the results.
    # Only the main thread may set a handler. A handler that Python did not set cannot be put back.
    alone = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler) if alone else None
    try:
        code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    sys.exit(code)


def _invoke(arguments: list[str]) -> int:
    """Answer a shell's completion, or call the command; returns the exit code where nothing is raised."""
    completed = answer_shell(cli)
    if completed is None:
        # click's own main would answer an interrupt and a closed pipe with other exit codes.
        with cli.make_context("gradbench", arguments or ["--help"]) as context:
            cli.invoke(context)
    sys.stdout.flush()
    return completed or 0


def _exit_code(arguments: list[str]) -> int:
    """The exit code of the command; prints its error."""
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
        # The reader has enough. The rest of the buffer has nowhere to go.
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
