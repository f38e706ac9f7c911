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

# What of a user's file a variant may read. All else in it is its own affair.
READ_OF_FILE = ("model", "x", "call", "loss", "variants")

# Every call starts in the same state: what the one before made has been freed (`y = None`), so its
# memory is the allocator's to give again, and a batch of n calls holds n allocations and n releases
# whatever n is. The names that a statement reads are locals, as they would be in a user's function.
# One call goes before the clock: otherwise the first of n finds the caches as another variant left them, and
# identical variants that were given n of 5 and 8 differ by 1 %.
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

# A call that needs something made for it, as a backward needs its forward, is timed by itself; the clock is
# read twice a call, as in the empty loop of the same comparison. What the call leaves is released outside.
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

# On an accelerator more than a clock is read before and after the calls; these are told where they stand.
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
    """Told when the calls of a batch begin and when they have been issued; of per_call calls, of each one."""

    def begin(self) -> None: ...

    def end(self) -> None: ...


class OwnFile(Protocol):
    """A file of the user's in a process that has several.

    Attributes:
        names: what it defines for gradbench to read.
    """

    names: dict[str, Any]

    def enter(self) -> None:
        """Put in place what must be there while anything of the file runs."""


class ReadyVariant:
    """A variant that has been set up: its names, and its batch.

    Attributes:
        batch: runs the statement once, and then n times by the clock; returns nanoseconds. Its setup
            runs before each call, and is not in them.
        took: seconds of its first execution, rough and cold as that may have been; 0.0 before.
    """

    def __init__(self, variant: Variant, shared: dict[str, Any]) -> None:
        """Run the variant's setup on the shared inputs of its comparison, or on those of its file."""
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
        """The names that code makes anew."""
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

        Those find the caches full of their own data, whoever ran before.
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
        """Let go of all that the variant holds: functions and their globals hold each other."""
        self._names.clear()
        self._around.clear()

    @property
    def x(self) -> torch.Tensor | None:
        """The variant's own x; None where it has none (the empty loop)."""
        return self._names.get("x")

    @property
    def names(self) -> dict[str, Any]:
        """What the variant's statement may read, before anything is made for a call."""
        return self._names

    def set_up_call(self) -> dict[str, Any]:
        """The names that one call of the statement starts from, with what is made for it."""
        if self._file is not None:
            self._file.enter()
        names = {name: value for name, value in self._names.items() if name != "y"}
        exec(self._setup_per_call, names)
        return names

    def run(self) -> Any:
        """Execute the statement once; return its result, or None where it makes none.

        What else the statement names is gone afterwards, as the locals of a function are.
        """
        return self._result(self._execute(self.set_up_call()))

    def run_and_keep(self, per_call: dict[str, Any]) -> list[Any]:
        """Execute the statement on what `set_up_call` made; return what its result is made of, and nothing
        else.

        Unlike `run` this computes nothing after the statement.
        """
        return self.result_of(self._execute(dict(per_call)))

    def run_and_hold(self) -> tuple[Any, bool]:
        """As `run`; also whether what the variant promises holds."""
        names = self.set_up_call()
        started = time.perf_counter()
        self._execute(names)
        self.took = time.perf_counter() - started
        return self._result(names), not self.variant.holds or bool(eval(self.variant.holds, names))

    def _execute(self, names: dict[str, Any]) -> dict[str, Any]:
        exec(self._statement, names)
        # A control alone makes none.
        names.setdefault("y", None)
        return names

    def _result(self, names: dict[str, Any]) -> Any:
        return eval(self.variant.result, names) if self.variant.result else None

    def run_by_line(
        self, within: Callable[[int], AbstractContextManager[Any]], per_call: dict[str, Any] | None = None
    ) -> tuple[list[str], dict[str, Any]]:
        """Execute the statement line by line, each within a context of its own.

        Returns the lines (a block is one), and what must be held for the result to live on. With `per_call`
        it goes on from what `set_up_call` made.
        """
        names = self.set_up_call() if per_call is None else per_call
        lines = [ast.unparse(node) for node in ast.parse(self.variant.statement).body]
        codes = [compile(line, f"<{self.variant.name}, line {i}>", "exec") for i, line in enumerate(lines)]
        for number, code in enumerate(codes):
            with within(number):
                exec(code, names)
        return lines, names

    def result_of(self, names: dict[str, Any]) -> list[Any]:
        """As `run_and_keep` returns, of the names that the statement left."""
        return [eval(part, names) for part in self._parts]

    def run_probe(self) -> Any:
        """Execute the probe; return the grad mode that it saw."""
        names = dict(self._names)
        exec(compile(self.variant.probe, f"<probe of {self.variant.name}>", "exec"), names)
        return names["y"]


def _parts(expression: str) -> list[str]:
    """The names, and the attributes of names, that an expression is made of.

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
    """The names that all variants of a comparison share: `base`, and what the workload makes and imports.

    Where they come from a `file` of the user's it is what that file defines for gradbench to read.
    """
    # Beside the file's own work stands some of gradbench's.
    if comparison.workload == PRICE:
        file = ""
    names = execute(comparison.prepare, f"<inputs of {comparison.id}>", file)
    everything = comparison.whole or not file
    return {name: value for name, value in names.items() if name in READ_OF_FILE or everything}


def execute(code: str, label: str, file: str = "", given: dict[str, Any] | None = None) -> dict[str, Any]:
    """The names that code makes, `__file__` being the user's file that it comes from, where there is one.

    Those that are `given` are there before it.
    """
    names: dict[str, Any] = {"torch": torch, **({"__file__": file} if file else {}), **(given or {})}
    # What this module imports from __future__ is not for others.
    exec(compile(code, label, "exec", dont_inherit=True), names)
    return {name: value for name, value in names.items() if name not in ("torch", "__builtins__")}


def work_of(expression: str, names: dict[str, Any]) -> Callable[[torch.Tensor], Any]:
    """An expression of x as a function of x, with what else it names."""
    code = compile(expression, "<expression>", "eval")
    # In one namespace, which its own functions see as well.
    return lambda x: eval(code, {"torch": torch, **names, "x": x})


def expected_answer(comparison: Comparison, variant: Variant, shared: dict[str, Any]) -> torch.Tensor | None:
    """What a variant should leave, by NumPy in float64, of `sampled` elements; None where that is nothing."""
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


# Of so many elements NumPy computes each, and of more about as many: a hundred million take it seconds, and
# gigabytes. All are held against the baseline's.
SAMPLED = 1_000_000
# Kernels treat the elements that fill no block apart.
_LAST = 1024


def sampled(tensor: torch.Tensor, comparison: Comparison) -> torch.Tensor:
    """About `SAMPLED` elements of a tensor of the shape of x, where they can be had one by one; else all."""
    if not comparison.pointwise or tensor.numel() <= SAMPLED or tensor.shape != comparison.shape:
        return tensor
    flat = tensor.detach().reshape(-1)
    # An odd step meets each place of a vector in turn.
    return torch.cat((flat[:: tensor.numel() // SAMPLED | 1], flat[-_LAST:]))


def _in_numpy(value: Any) -> Any:
    """Tensors in float64, modules as a dict of such arrays; whatever else as it is."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float64).numpy()
    if isinstance(value, torch.nn.Module):
        return {name: _in_numpy(tensor) for name, tensor in value.state_dict().items()}
    return value
