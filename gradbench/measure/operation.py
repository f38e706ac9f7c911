"""The look at expressions of x in a worker: their behaviour, and every mistake in one line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from gradbench.define.user_model import ALLOWED
from gradbench.define.workloads.operation import TAKEN
from gradbench.measure.agreement import alike, how_different
from gradbench.measure.evaluated import evaluate
from gradbench.measure.protocol import FileRejected
from gradbench.measure.subject import Subject
from gradbench.measure.trained import Trained
from gradbench.measure.user_code import Mistake, Raised, run_of_user
from gradbench.measure.user_file import expect_input, expect_modes, facts_of
from gradbench.measure.variant import execute, work_of
from gradbench.record.user_file import FileFacts, OperationFacts


def inspect_operation(
    expressions: tuple[str, ...], x: str, text: str, file: str, seed: int
) -> OperationFacts | FileRejected:
    """The behaviour of expressions under each method; FileRejected where one cannot be measured.

    Args:
        expressions: one expression of x, or two to compare.
        x: code that makes x.
        text: code that the expressions need. It runs after `x` and may make another x.
        file: the file with this text, or with a part of it; empty without a file.
        seed: seed of the random numbers.
    """
    try:
        return _inspect(expressions, x, text, file, seed)
    except Mistake as mistake:
        return FileRejected(" ".join(f"{mistake}{_missing(mistake, file)}".split()))


def _missing(mistake: Mistake, file: str) -> str:
    """A clause on where to define a name that an expression uses and nothing defines."""
    if (
        not isinstance(mistake, Raised)
        or mistake.line is not None
        or not mistake.says.startswith("NameError")
    ):
        return ""
    if mistake.what == "the setup":
        return ""
    return f"; define it in {Path(file).name}" if file else "; give --setup-file FILE.py, which defines it"


def _inspect(expressions: tuple[str, ...], x: str, text: str, file: str, seed: int) -> OperationFacts:
    threads = torch.get_num_threads()
    torch.manual_seed(seed)
    begun = time.perf_counter()
    where = file or "<setup>"
    made = run_of_user(lambda: execute(x, "<x>"), "making x", where)
    names: dict[str, Any] = run_of_user(lambda: execute(text, where, file, made), "the setup", where)
    load = time.perf_counter() - begun
    expect_modes(threads)
    taken = [name for name in TAKEN if name in names]
    if taken:
        raise Mistake(
            f"the setup defines `{taken[0]}`, which is the name of something else in the code that is timed: "
            "call it otherwise"
        )
    tensor = expect_input(names["x"])
    if not tensor.is_floating_point():
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise Mistake(f"`x` is {dtype}, which has no gradient: expected {', '.join(ALLOWED)}")
    seen = [_look(each, names, tensor.detach().requires_grad_(), file, load) for each in expressions]
    facts, results, gradients = zip(*seen, strict=True)
    backward = tuple(each is not None for each in gradients)
    if len(seen) == 1:
        return OperationFacts(facts, backward)
    one, other = results
    allowed = max(ALLOWED[each.coarsest] for each in facts)
    apart = not alike(one, other, allowed)
    clause = ""
    if all(backward):
        first, second = gradients
        clause = _relation(first, second)
        apart |= not alike(first, second, allowed)
    return OperationFacts(facts, backward, _relation(one, other), clause, apart)


def _look(
    expression: str, names: dict[str, Any], x: torch.Tensor, file: str, load: float
) -> tuple[FileFacts, torch.Tensor, torch.Tensor | None]:
    """The facts of one expression, its result, and the gradient of x; None where it has no backward."""
    work, where = work_of(expression, names), file or "<setup>"
    hint = "choose one of what it returns, as by [0]"
    subject = Subject(None, x, lambda _, x: work(x), expression, where, hint)
    subject.forward_only = True
    evaluated = evaluate(subject)
    model, own = subject.variant()
    begun = time.perf_counter()
    y = subject.forward(model, own)
    trained, gradient = Trained(True, time.perf_counter() - begun), None
    if y.requires_grad:
        run_of_user(
            lambda: y.backward(torch.ones_like(y)), f"the backward of {expression}", file or "<setup>"
        )
        if own.grad is None:
            raise Mistake(f"the backward of {expression} does not reach x: expected an expression of x")
        trained = Trained(True, time.perf_counter() - begun)
        gradient = own.grad if own.grad.layout == torch.strided else own.grad.to_dense()
    return facts_of(subject, x, evaluated, trained, load=load), y.detach(), gradient


def _relation(one: torch.Tensor, other: torch.Tensor) -> str:
    """How the second differs from the first, as a clause."""
    if one.dtype == other.dtype and torch.equal(one, other):
        return "equal to the bit"
    if one.dtype != other.dtype:
        dtypes = [str(each.dtype).removeprefix("torch.") for each in (one, other)]
        return f"{dtypes[0]} of the first, and {dtypes[1]} of the second"
    return how_different(one, other, "of the first", "of the second")
