"""From expressions of x to a plan."""

from __future__ import annotations

import ast

import msgspec

from gradbench.define.dtypes import EPSILON
from gradbench.define.metrics import measured_metrics
from gradbench.define.planner import compose, tensor_options
from gradbench.define.user_model import ALLOWED, seeded, wanted_of, x_in_words
from gradbench.define.workloads import operation as rows_of
from gradbench.errors import RequestError
from gradbench.record.plan import Plan, Request
from gradbench.record.user_file import Fault, OperationFacts

# A title has room for this many characters of an expression.
_TITLE = 48


def parse_shape(text: str) -> tuple[int, ...]:
    """The lengths in a text such as `32,1000`; none for the shape of a single number, `()`.

    Raises RequestError for anything else.
    """
    if text.strip() in ("()", ""):
        return ()
    try:
        shape = tuple(int(each) for each in text.strip("() ").rstrip(",").split(","))
    except ValueError:
        shape = (0,)
    if any(length < 1 for length in shape):
        raise RequestError(f"--shape {text}: expected lengths of at least 1, as in 32,1000")
    return shape


def parse_expression(option: str, text: str) -> str:
    """An expression of x, in one line. Raises RequestError for other text."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        says = error.msg if isinstance(error, SyntaxError) else str(error)
        raise RequestError(
            f"{option}: expected an expression of x, such as torch.softmax(x, -1); got {text!r}: {says}"
        ) from None
    if not any(isinstance(node, ast.Name) and node.id == "x" for node in ast.walk(tree)):
        raise RequestError(f"{option}: expected an expression of x; {text!r} does not name x")
    return text.strip() if "\n" not in text.strip() else ast.unparse(tree)


def x_of(shape: tuple[int, ...], dtype: str, device: str) -> str:
    """Code that makes an x with numbers from [0, 1)."""
    return f"x = torch.rand({shape}, {tensor_options(dtype, device)})"


def plan_operation(
    expressions: tuple[str, ...], x: str, text: str, seen: OperationFacts, request: Request
) -> Plan:
    """The plan for one expression, or for two that a run compares.

    Args:
        x, text: code that makes x, and code that the expressions need beside it.
        seen: facts about the expressions.
        request: with the dtype of x. With methods, the plan holds only comparisons that have one of them.
            Raises RequestError where none has.
    """
    facts = seen.each[0]
    coarsest = max((each.coarsest for each in seen.each), key=lambda name: ALLOWED[name])
    roundings = ALLOWED[coarsest] / EPSILON[request.dtype]
    about = x_in_words(facts)
    title = title_of(expressions)
    if len(expressions) == 1:
        (expression,) = expressions
        about = f"{expression}, {about}"
        rows = rows_of.alone(title, about, expression, facts, roundings, seen.backward[0])
    else:
        rows = rows_of.against(title, about, (expressions[0], expressions[1]), seen, roundings)
    prepare = seeded(text, request.seed, x)
    comparisons = [
        msgspec.structs.replace(compose(row, facts.shape, request, prepare), whole=True) for row in rows
    ]
    wanted = wanted_of(comparisons, request)
    if not wanted:
        reasons = "; ".join(
            f"{id}: {why}"
            for each in comparisons
            for id, why in each.skipped.items()
            if id in request.methods
        )
        raise RequestError(
            f"--method {','.join(request.methods)}: nothing to measure"
            + (f"; {reasons}" if reasons else "; this expression has no such variant")
        )
    return Plan(tuple(wanted), metrics=measured_metrics())


def title_of(expressions: tuple[str, ...]) -> str:
    """The name of the expressions in titles, where a colon separates it from the timed part."""
    title = " against ".join(expressions)
    return title if ":" not in title and len(title) <= _TITLE else "the expression"


def faults_of(expressions: tuple[str, ...], seen: OperationFacts) -> tuple[Fault, ...]:
    """The faults of the expressions, every fault once."""
    found = [fault for each in seen.each for fault in each.faults]
    if seen.apart:
        clauses = f"of their results, {seen.results}"
        if seen.gradients:
            clauses += f"; of the gradients of x, {seen.gradients}"
        found.insert(
            0, Fault("values differ", f"{' and '.join(expressions)} do not compute the same: {clauses}")
        )
    return tuple(dict.fromkeys(found))
