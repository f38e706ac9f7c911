"""The command that measures an expression of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradbench.cli.messages import say
from gradbench.cli.options import dtype_option, takes
from gradbench.cli.running import SHARED, MeasuringOwn, measure_own, preset_option, run
from gradbench.errors import RequestError

if TYPE_CHECKING:
    from gradbench.measure.user_model import UserModel
    from gradbench.record.plan import Request
    from gradbench.record.results import Header
    from gradbench.record.user_file import OperationFacts


@dataclass(frozen=True, kw_only=True)
class OperationOptions(MeasuringOwn):
    """The options of `op`."""

    expression: str
    against: str | None
    shape: str
    dtype: str
    device: str
    setup: str
    setup_file: Path | None


class ExpressionCommand(click.Command):
    """A command whose argument may begin with a minus, which looks like an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = 'an expression that begins with - goes behind --, as in: -- "-x.sin()"'
            raise click.NoSuchOption(
                error.option_name, f"{error.message.rstrip('.')}; {hint}", error.possibilities, ctx
            ) from None


@click.command(cls=ExpressionCommand, params=[each for each in run.params if each.name in SHARED])
@preset_option("quick")
@dtype_option()
@click.option("--device", default="cpu", show_default=True, help="Put x on cpu, cuda or cuda:1.")
@click.option(
    "--shape", default="1000", show_default=True, metavar="N,M", help="Set the lengths of x, such as 32,1000."
)
@click.option("--setup", default="", metavar="CODE", help="Run this code before, such as: w = torch.rand(9)")
@click.option(
    "--setup-file", type=click.Path(path_type=Path), metavar="FILE.py",
    help="Run this file before; the expression can use its names.",
)  # fmt: skip
@click.option("--against", metavar="EXPRESSION", help="Compare this expression with the first, in turns.")
@click.argument("expression")
@takes(OperationOptions)
def op(asked: OperationOptions) -> None:
    """Measure an expression of x under each method, or two of them.

    EXPRESSION is Python, such as "torch.softmax(x, -1)". `x` is tracked, and has random numbers from [0, 1);
    the setup may make another x. gradbench measures the forward under every method, and the backward. With
    --against two expressions take turns instead: recorded, unrecorded, and forward with backward. gradbench
    also shows by how much their results differ. A custom autograd Function goes into the setup. The results
    contain the code.
    """
    again = tuple(_again(asked))
    measure_own(asked, "op-", partial(_look, asked), lambda word, _: _without_folder(asked, word), again)


def _look(asked: OperationOptions, request: Request, threads: int, old: Header | None) -> UserModel:
    """Look at the expressions, and plan them; print notes for a new run. Raises RequestError."""
    from gradbench.define.dtypes import DTYPES
    from gradbench.define.operation import parse_expression, parse_shape, x_of
    from gradbench.extension import choose
    from gradbench.measure.progress import doing
    from gradbench.measure.user_model import read
    from gradbench.measure.user_operation import plan_user_operation
    from gradbench.record.devices import KINDS, kind_of

    choose("--dtype", (asked.dtype,), DTYPES, str)
    if "," in asked.device or kind_of(asked.device) not in KINDS:
        raise RequestError(
            f"--device {asked.device}: expected one of {', '.join(KINDS)}, or one such as cuda:1"
        )
    given = [("EXPRESSION", asked.expression)] + ([("--against", asked.against)] if asked.against else [])
    expressions = tuple(parse_expression(option, text) for option, text in given)
    text = "" if asked.setup_file is None else read(asked.setup_file, "that defines what the expression uses")
    if asked.setup:
        try:
            compile(asked.setup, "<setup>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise RequestError(f"--setup: expected Python; got {asked.setup!r}: {error}") from None
        text = f"{text}\n{asked.setup}" if text else asked.setup
    x = x_of(parse_shape(asked.shape), asked.dtype, asked.device)
    with doing("running the expression to see what it does", asked.quiet):
        operation, seen = plan_user_operation(expressions, x, text, asked.setup_file, request, threads)
    if old is None:
        _tell(asked, seen)
    return operation


def _tell(asked: OperationOptions, seen: OperationFacts) -> None:
    """Say what of the request is not measured, and how the results of two expressions differ."""
    expressions = [asked.expression, *([asked.against] if asked.against else [])]
    for expression, backward in zip(expressions, seen.backward, strict=True):
        if not backward:
            say("note", f"the result of {expression} does not require gradients: no backward is measured")
    if seen.results:
        gradients = f"; gradients of x: {seen.gradients}" if seen.gradients else ""
        say("note", f"results of the two: {seen.results}{gradients}")


def _again(asked: OperationOptions) -> list[str]:
    """The words that begin a command which measures the same; options may follow them.

    So an expression that begins with a minus cannot stand behind `--`. A space before it does the same.
    """
    minus = asked.expression.startswith("-")
    words = ["op", f" {asked.expression}" if minus else asked.expression]
    for option, value in (
        ("--shape", asked.shape),
        ("--dtype", asked.dtype),
        ("--device", asked.device),
        ("--setup", asked.setup),
        ("--setup-file", asked.setup_file),
        ("--against", asked.against),
    ):
        if value:
            words += [option, str(value)]
    return words


def _without_folder(asked: OperationOptions, word: str) -> str:
    option, equals, value = word.partition("=")
    if asked.setup_file is None:
        return word
    if option == "--setup-file" and equals:
        return f"{option}={Path(value).name}"
    # A path may be written in several ways.
    return asked.setup_file.name if Path(word) == asked.setup_file else word
