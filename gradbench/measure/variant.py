"""From the text of a variant to something that runs: once for a check, or n times for the clock."""

from __future__ import annotations

import ast
import textwrap
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import repeat
from typing import Any, Protocol

import numpy
import torch

from gradbench.measure.calibration import Batch
from gradbench.measure.processor_time import CLOCKS, Clock
from gradbench.record.plan import PRICE, Comparison, Variant

# The names of a user's file that a variant may read.
READ_OF_FILE = ("model", "x", "call", "loss", "variants")

# Every call starts in the same state. `y = None` has freed the result of the call before, so that the
# allocator can give its memory again. A batch of n calls has n allocations and n releases for any n. The
# names that a statement reads are locals, as in a user's function. One call runs before the clock. Otherwise
# the first of n calls finds the caches of another variant, and identical variants with n of 5 and 8 differ by
# 1 %.
_BATCH = """\
def batch(n, {names}):
{first}
    {made} = None
    started = clock()
    for _ in repeat(None, n):
{statement}
        {made} = None
    return clock() - started
"""

# A call with a setup, such as a backward that needs its forward, is timed alone. The clock is read twice a
# call, as in the empty loop of the same comparison. The result of the call is released outside.
_BATCH_WITH_SETUP = """\
def batch(n, {names}):
{first_setup}
{first}
    {made} = None
    taken = 0
    for _ in repeat(None, n):
{setup_per_call}
        started = clock()
{statement}
        taken += clock() - started
        {made} = None
    return taken
"""

# On an accelerator marks replace the clock: `begin` runs before the calls, and `end` after them.
_BATCH_MARKED = """\
def batch(n, begin, end, {names}):
{first}
    {made} = None
    begin()
    for _ in repeat(None, n):
{statement}
        {made} = None
    end()
"""
_BATCH_MARKED_WITH_SETUP = """\
def batch(n, begin, end, {names}):
{first_setup}
{first}
    {made} = None
    for _ in repeat(None, n):
{setup_per_call}
        begin()
{statement}
        end()
        {made} = None
"""


class BatchMarks(Protocol):
    """Called when the calls of a batch begin and are issued; with a setup per call, at each call."""

    def begin(self) -> None: ...

    def end(self) -> None: ...


class OwnFile(Protocol):
    """A user's file in a process that has several.

    Attributes:
        names: the names that it defines for gradbench to read.
    """

    names: dict[str, Any]

    def enter(self) -> None:
        """Put the modules and settings in place that code of the file needs."""


class ReadyVariant:
    """A variant that has been set up: its names, and its batch.

    Attributes:
        batch: runs the statement once, and then n times by the clock; returns nanoseconds. A setup per call
            runs before each call, outside the time.
        took: rough seconds of its first execution, which may have been cold; 0.0 before.
    """

    def __init__(self, variant: Variant, shared: dict[str, Any]) -> None:
        """Run the variant's setup on the shared inputs of its comparison, or on the names of its file."""
        self.variant = variant
        self._file: OwnFile | None = shared[variant.file] if variant.file else None
        if self._file is not None:
            self._file.enter()
        self._names: dict[str, Any] = {"torch": torch, **(shared if self._file is None else self._file.names)}
        exec(compile(variant.setup, f"<setup of {variant.name}>", "exec"), self._names)
        self._setup_per_call = compile(variant.setup_per_call, f"<setup per call of {variant.name}>", "exec")
        self._statement = compile(variant.statement, f"<{variant.name}>", "exec")
        self._parts = _parts(variant.result)
        self._made = self._stored(variant.setup_per_call) | self._stored(variant.statement)
        self._around = {**self._names, "repeat": repeat, "clock": time.perf_counter_ns}
        self.batch: Batch = self._make_batch(_BATCH_WITH_SETUP if variant.setup_per_call else _BATCH)
        self._marked: Callable[..., None] | None = None
        self._long: dict[Clock, Batch] = {}
        self.took = 0.0

    def _stored(self, code: str) -> set[str]:
        """The names that code assigns."""
        stored = {
            node.id
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        return stored - self._names.keys()

    def _make_batch(self, template: str, warm: bool = True) -> Any:
        """The function of a template; `warm` has it call the statement once before the clock."""
        variant = self.variant
        read = dict.fromkeys((*self._setup_per_call.co_names, *self._statement.co_names))
        source = template.format(
            names=", ".join(f"{name}={name}" for name in read if name in self._names and name != "torch"),
            made=" = ".join(sorted(self._made | {"y"})),
            first_setup=textwrap.indent(variant.setup_per_call, " " * 4) if warm else "",
            first=textwrap.indent(variant.statement, " " * 4) if warm else "",
            setup_per_call=textwrap.indent(variant.setup_per_call, " " * 8),
            statement=textwrap.indent(variant.statement, " " * 8),
        )
        exec(compile(source, f"<batch of {variant.name}>", "exec"), self._around)
        batch = self._around.pop("batch")
        file = self._file
        if file is None:
            return batch

        def entered(*arguments: Any) -> Any:
            file.enter()
            return batch(*arguments)

        return entered

    def long_batch(self, clock: Clock) -> Batch:
        """As `batch`, by this clock, and without a call before it: for calls of a millisecond and more.

        Such calls find the caches full of their own data after any other variant.
        """
        if clock not in self._long:
            self._around["clock"] = CLOCKS[clock]
            template = _BATCH_WITH_SETUP if self.variant.setup_per_call else _BATCH
            self._long[clock] = self._make_batch(template, warm=False)
        return self._long[clock]

    def batch_marked(self, n: int, marks: BatchMarks) -> None:
        """Run the statement once, and then n times as `batch` does, with `marks` in the clock's place."""
        if self._marked is None:
            self._marked = self._make_batch(
                _BATCH_MARKED_WITH_SETUP if self.variant.setup_per_call else _BATCH_MARKED
            )
        self._marked(n, marks.begin, marks.end)

    def close(self) -> None:
        """Release all objects of the variant: functions and their globals hold each other."""
        self._names.clear()
        self._around.clear()

    @property
    def x(self) -> torch.Tensor | None:
        """The variant's x; None where it has none (the empty loop)."""
        return self._names.get("x")

    @property
    def names(self) -> dict[str, Any]:
        """The names that the variant's statement may read, before the setup of a call."""
        return self._names

    def set_up_call(self) -> dict[str, Any]:
        """The names that one call of the statement starts from, with those of its setup."""
        if self._file is not None:
            self._file.enter()
        names = {name: value for name, value in self._names.items() if name != "y"}
        exec(self._setup_per_call, names)
        return names

    def run(self) -> Any:
        """Execute the statement once; return its result, or None where it makes none.

        Other names of the statement are gone afterwards, like the locals of a function.
        """
        return self._result(self._execute(self.set_up_call()))

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]:
        """Execute the statement on the names of `set_up_call`; return only the parts of its result.

        Unlike `run` this computes nothing after the statement.
        """
        return self.result_of(self._execute(dict(per_call)))

    def run_and_hold(self) -> tuple[Any, bool]:
        """As `run`; also whether the promise of the variant holds."""
        names = self.set_up_call()
        started = time.perf_counter()
        self._execute(names)
        self.took = time.perf_counter() - started
        return self._result(names), not self.variant.holds or bool(eval(self.variant.holds, names))

    def _execute(self, names: dict[str, Any]) -> dict[str, Any]:
        exec(self._statement, names)
        # A control alone makes no result.
        names.setdefault("y", None)
        return names

    def _result(self, names: dict[str, Any]) -> Any:
        return eval(self.variant.result, names) if self.variant.result else None

    def run_by_line(
        self, within: Callable[[int], AbstractContextManager[Any]], per_call: dict[str, Any] | None = None
    ) -> tuple[list[str], dict[str, Any]]:
        """Execute the statement line by line, each line within a separate context.

        Returns the lines (a block is one), and the objects that keep the result alive. With `per_call` it
        goes on from the names of `set_up_call`.
        """
        names = self.set_up_call() if per_call is None else per_call
        lines = [ast.unparse(node) for node in ast.parse(self.variant.statement).body]
        codes = [compile(line, f"<{self.variant.name}, line {i}>", "exec") for i, line in enumerate(lines)]
        for number, code in enumerate(codes):
            with within(number):
                exec(code, names)
        return lines, names

    def result_of(self, names: dict[str, Any]) -> list[Any]:
        """The parts of the result, as from `run_and_keep`, in the names that the statement left."""
        return [eval(part, names) for part in self._parts]

    def run_probe(self) -> Any:
        """Execute the probe; return the grad mode that it saw."""
        names = dict(self._names)
        exec(compile(self.variant.probe, f"<probe of {self.variant.name}>", "exec"), names)
        return names["y"]


def _parts(expression: str) -> list[str]:
    """The names, and the attributes of names, in an expression.

    >>> _parts("x.grad / 2"), _parts("torch.cat(y)"), _parts("x.detach().clone()")
    (['x.grad'], ['y'], ['x'])
    """
    found = []

    def collect(node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
                collect(node.func.value)
            for each in node.args:
                collect(each)
        elif isinstance(node, ast.Name | ast.Attribute):
            found.append(ast.unparse(node))
        else:
            for child in ast.iter_child_nodes(node):
                collect(child)

    if expression:
        collect(ast.parse(expression, mode="eval").body)
    return found


def _is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "torch"


def prepare(comparison: Comparison, file: str = "") -> dict[str, Any]:
    """The names that all variants of a comparison share: `base`, and those that the workload makes and
    imports.

    With a user's `file` they are the names that the file defines for gradbench to read.
    """
    # A comparison of gradbench's work can be beside those of the file.
    if comparison.workload == PRICE:
        file = ""
    names = execute(comparison.prepare, f"<inputs of {comparison.id}>", file)
    everything = comparison.whole or not file
    return {name: value for name, value in names.items() if name in READ_OF_FILE or everything}


def execute(code: str, label: str, file: str = "", given: dict[str, Any] | None = None) -> dict[str, Any]:
    """The names that code makes; `__file__` is the user's file of the code, where there is one.

    The names of `given` are there before it.
    """
    names: dict[str, Any] = {"torch": torch, **({"__file__": file} if file else {}), **(given or {})}
    # Imports from __future__ in this module must not apply to the code.
    exec(compile(code, label, "exec", dont_inherit=True), names)
    return {name: value for name, value in names.items() if name not in ("torch", "__builtins__")}


def work_of(expression: str, names: dict[str, Any]) -> Callable[[torch.Tensor], Any]:
    """An expression of x as a function of x, with its other names."""
    code = compile(expression, "<expression>", "eval")
    # Its functions see this namespace, too.
    return lambda x: eval(code, {"torch": torch, **names, "x": x})


def expected_answer(comparison: Comparison, variant: Variant, shared: dict[str, Any]) -> torch.Tensor | None:
    """The expected result of a variant by NumPy in float64, of `sampled` elements; None without one."""
    answer = comparison.answer if variant.answer is None else variant.answer
    if not answer or not variant.result:
        return None
    names = {
        name: _in_numpy(sampled(value, comparison) if isinstance(value, torch.Tensor) else value)
        for name, value in shared.items()
    }
    names["x"] = names.pop("base")
    if "answers." in answer:
        # Most answers are a line of NumPy.
        from gradbench.define import answers

        names["answers"] = answers
    value = eval(answer, {"numpy": numpy, **names})
    return torch.from_numpy(numpy.asarray(value, dtype=numpy.float64))


# NumPy computes all elements up to this many, and about this many of more elements. A hundred million would
# take seconds and gigabytes. The comparison with the baseline covers all elements.
SAMPLED = 1_000_000
# Kernels treat the elements of an incomplete block separately.
_LAST = 1024


def sampled(tensor: torch.Tensor, comparison: Comparison) -> torch.Tensor:
    """About `SAMPLED` elements of a tensor of the shape of x, for a pointwise comparison; otherwise all."""
    if not comparison.pointwise or tensor.numel() <= SAMPLED or tensor.shape != comparison.shape:
        return tensor
    flat = tensor.detach().reshape(-1)
    # An odd step visits each place of a vector in turn.
    return torch.cat((flat[:: tensor.numel() // SAMPLED | 1], flat[-_LAST:]))


def _in_numpy(value: Any) -> Any:
    """Tensors in float64, modules as a dict of such arrays; other values unchanged."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy()
    if isinstance(value, torch.nn.Module):
        return {name: _in_numpy(tensor) for name, tensor in value.state_dict().items()}
    return value
