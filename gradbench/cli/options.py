"""Options that several commands have, and how a command gets its own as one record."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gradbench.cli.completion import dtype_names, method_names, offer, offer_runs, size_names, workload_names
from gradbench.errors import RequestError

if TYPE_CHECKING:
    from gradbench.record.results import Allocator

Asked = TypeVar("Asked")
Command = TypeVar("Command", bound=Callable[..., Any])


def takes(kind: Callable[..., Asked]) -> Callable[[Callable[[Asked], None]], Callable[..., None]]:
    """Call a command with one record of this kind in the place of an argument for every option."""

    def decorate(command: Callable[[Asked], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def call(**options: Any) -> None:
            command(kind(**options))

        return call

    return decorate


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """The options of a command that starts measuring processes."""

    threads: int
    allocator: Allocator
    seed: int
    timeout: float


def _split_names(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the values of an option, which may have commas. Raises RequestError for an empty one."""
    names = tuple(name.strip() for value in values for name in value.split(","))
    if not all(names):
        raise RequestError(
            f"{option.opts[0]}: expected a name, got an empty one; leave the option out for all"
        )
    return names


def _timeout(context: click.Context, option: click.Parameter, value: float) -> float:
    # Not click's range, which lets nan through.
    if not 1 <= value <= 86_400:
        raise RequestError(f"--timeout {value:g}: expected seconds, from 1 to 86400")
    return value


# Bytes by the unit that they are given in; torch and its users count in both kinds.
_UNITS = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip

# A smaller number without a unit was not meant as bytes.
_BARE = 1_000_000


def size_in_bytes(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Bytes, given as a number with a unit, such as 8GB or 512MiB. Raises RequestError."""
    if value is None:
        return None
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    unit = None if parts is None else _UNITS.get(parts[2].upper())
    if parts is None or unit is None or float(parts[1]) * unit < 1:
        raise RequestError(
            f"{option.opts[0]} {value}: expected bytes with a unit, such as 8GB, 512MiB or 800000B"
        )
    if not parts[2] and float(parts[1]) < _BARE:
        raise RequestError(f"{option.opts[0]} {value}: give a unit, as in {option.opts[0]} {parts[1]}GB")
    return int(float(parts[1]) * unit)


def refuse_a_lonely_unit(paths: Sequence[Path], option: str) -> None:
    """Raise RequestError where a path is a unit that belongs to the size before it, as in `--fit 8 GB`."""
    for path in paths:
        if str(path).upper() in _UNITS and not path.exists():
            raise RequestError(f"{path}: expected a file; a size is one word, such as {option} 8{path}")


def size_as_given(size: int) -> str:
    """Bytes as such an option takes them, in the largest unit that loses nothing.

    >>> size_as_given(8 * 10**9), size_as_given(2**29), size_as_given(8_001)
    ('8GB', '512MIB', '8001B')
    """
    return min(
        (f"{size // unit}{name}" for name, unit in _UNITS.items() if name and size % unit == 0), key=len
    )


def fraction(margin: float) -> float:
    """A margin given in per cent, as a fraction. Raises RequestError."""
    if not 0 < margin < 100:
        raise RequestError(f"--margin {margin:g}: expected per cent, above 0 and below 100")
    return margin / 100


def of_processes(command: Command) -> Command:
    """Give a command the options of ProcessOptions."""
    options: tuple[Callable[[Command], Command], ...] = (
        click.option(
            "--threads",
            type=click.IntRange(1, 4096),
            default=1,
            show_default=True,
            help="Set the number of torch's intra-op threads.",
        ),
        click.option(
            "--allocator",
            type=click.Choice(["keep", "system"]),
            default="keep",
            show_default=True,
            help="Keep freed pages in the C library, or use its defaults: fresh pages for large results.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0, 2**63 - 1),
            default=0,
            show_default=True,
            help="Seed for ordering and input data.",
        ),
        click.option(
            "--timeout",
            type=float,
            callback=_timeout,
            default=120.0,
            show_default=True,
            metavar="SECONDS",
            help="Count a visit as hung after this silence beyond its time slice.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def names_option(
    flag: str, parameter: str, names: Callable[[], Iterable[str]], help: str, metavar: str = "NAME"
) -> Callable[[Command], Command]:
    """Names of a table, given several times or with commas; the shell completes `names`."""
    return click.option(
        flag, parameter, multiple=True, callback=_split_names, metavar=metavar, help=help,
        shell_complete=offer(names),
    )  # fmt: skip


def workload_option(help: str) -> Callable[[Command], Command]:
    return names_option("--workload", "workloads", workload_names, help)


def method_option(help: str) -> Callable[[Command], Command]:
    return names_option("--method", "methods", method_names, help)


def size_option(help: str) -> Callable[[Command], Command]:
    return names_option("--size", "sizes", size_names, help, "SIZE")


def device_option(help: str) -> Callable[[Command], Command]:
    return click.option(
        "--device", default="cpu", show_default=True, help=help, shell_complete=offer(lambda: ("cpu", "cuda"))
    )


def dtype_option() -> Callable[[Command], Command]:
    return click.option(
        "--dtype", default="float32", show_default=True, help="Choose float32, float64, bfloat16 or float16.",
        shell_complete=offer(dtype_names),
    )  # fmt: skip


def output_option(what: str, metavar: str = "DIR") -> Callable[[Command], Command]:
    return click.option("--output", type=click.Path(path_type=Path), metavar=metavar, help=what)


def margin_option(default: float, help: str) -> Callable[[Command], Command]:
    return click.option(
        "--margin", type=float, default=default, show_default=True, metavar="PERCENT", help=help
    )


def report_option() -> Callable[[Command], Command]:
    return click.option(
        "--report/--no-report", "with_report", default=True, help="Build the HTML report at the end."
    )


def json_option(help: str = "Print JSON.") -> Callable[[Command], Command]:
    return click.option("--json", "as_json", is_flag=True, help=help)


def results_argument(name: str = "results", required: bool = False) -> Callable[[Command], Command]:
    """A results file, or the folder of a run."""
    return click.argument(name, type=click.Path(path_type=Path), required=required, shell_complete=offer_runs)


DEVICES = "Put the tensors on cpu, cuda, cuda:1, several with commas, or all."
