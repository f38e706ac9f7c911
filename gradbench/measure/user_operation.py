"""The user's expressions: inspected in a worker, and planned here."""

from __future__ import annotations

from pathlib import Path

from gradbench.define.methods import methods as all_methods
from gradbench.define.operation import faults_of, plan_operation
from gradbench.define.workloads import operation as rows_of
from gradbench.errors import RequestError
from gradbench.extension import choose
from gradbench.measure.process import WorkerLost, ask_fresh
from gradbench.measure.protocol import FileRejected, Task, WorkerSettings
from gradbench.measure.user_model import UserModel
from gradbench.record.plan import USER_MODEL, Comparison, Request
from gradbench.record.user_file import OperationFacts


def plan_user_operation(
    expressions: tuple[str, ...], x: str, text: str, file: Path | None, request: Request, threads: int
) -> tuple[UserModel, OperationFacts]:
    """Let a worker look at expressions, and make their plan; returns also its facts.

    Args:
        expressions: one expression, or two to compare.
        x: code that makes x.
        text: code that the expressions need; a part of it may be that of `file`.
        request: the wanted methods, the seed and the preset.

    Raises RequestError in one line for any fault.
    """
    names = [*(each.name for each in all_methods()), *rows_of.alternative_names()]
    choose("--method", request.methods, list(dict.fromkeys(names)), str)
    seen = _inspect(expressions, x, text, file, request.seed, threads)
    first = seen.each[0]
    asked = Request(
        (USER_MODEL,), request.methods, (), first.device, first.dtype, request.seed, request.preset
    )
    plan = plan_operation(expressions, x, text, seen, asked)
    calls = {each.id: _call(each, seen) for each in plan.comparisons}
    return UserModel(file, plan, asked, first.load, calls, faults_of(expressions, seen)), seen


def _call(comparison: Comparison, seen: OperationFacts) -> float:
    """Rough seconds of a call."""
    with_backward = comparison.part in ("backward", rows_of.BOTH)
    return max(each.step if with_backward else each.forward for each in seen.each)


def _inspect(
    expressions: tuple[str, ...], x: str, text: str, file: Path | None, seed: int, threads: int
) -> OperationFacts:
    where = "" if file is None else str(file.absolute())
    settings = WorkerSettings(0, "memory", seed, threads, file=where)
    try:
        message = ask_fresh(settings, Task(None, 0.0, file_text=text, operation=expressions, x=x))
    except WorkerLost as lost:
        raise RequestError(f"{expressions[0]}: cannot be measured: {lost}") from None
    if isinstance(message, FileRejected):
        raise RequestError(message.message)
    assert isinstance(message, OperationFacts)
    return message
