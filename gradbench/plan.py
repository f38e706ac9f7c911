"""Which comparisons a run makes, what each lane times, and what is left out and why.

A plan is plain data without torch: it travels to the workers, and into the results file, where the
report finds everything that it shows about a lane.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from gradbench.errors import RequestError
from gradbench.methods import METHODS, REFERENCE, Method
from gradbench.sizes import CLASSES, parse_size, size_class
from gradbench.workloads import WORKLOADS, Workload

# By dtype its epsilon: twice the largest relative error of one rounding (IEEE 754; bfloat16 has 8 bits).
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}
DTYPES = tuple(EPSILON)

# The tensor that every lane starts from: a leaf that requires gradients, on the storage all lanes read.
LEAF = "x = base.detach().requires_grad_()"

Role = Literal["reference", "method", "twin", "twin_own_buffer", "empty"]


class Expectation(msgspec.Struct, frozen=True):
    """What a lane must show before it may be timed; None is not asked.

    Attributes:
        input_requires_grad: `x.requires_grad` once the lane is set up and has run.
        result_requires_grad: `y.requires_grad`.
        result_is_leaf: `y.is_leaf`.
        result_inference: `y.is_inference()`.
        shares_storage: whether y stands on the storage of x.
        grad_enabled_inside: grad mode where the work is done.
    """

    input_requires_grad: bool | None = None
    result_requires_grad: bool | None = None
    result_is_leaf: bool | None = None
    result_inference: bool | None = None
    shares_storage: bool | None = None
    grad_enabled_inside: bool | None = None


class Lane(msgspec.Struct, frozen=True):
    """One method inside a comparison, as code.

    Attributes:
        name: unique in its comparison; for methods the method's name.
        label: how a report names it.
        role: what it is there for.
        setup: lines run once, before the statement is timed.
        statement: what is timed.
        probe: code that leaves in `y` the grad mode that work under the method would see; empty where none.
        expect: what must hold before it is timed.
        source: the documentation of the method; empty for the instrument's own lanes.
    """

    name: str
    label: str
    role: Role
    setup: str
    statement: str
    probe: str
    expect: Expectation
    source: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """One workload at one size, dtype and device, under all methods that fit it.

    Attributes:
        id: unique in the plan.
        size: class of the size, by `numel`.
        numel: elements of x.
        prepare: lines run once, making the storage `base` that every lane reads, and other inputs.
        answer: NumPy expression of the expected result; empty where nothing is computed.
        tolerance: relative error allowed.
        skipped: methods left out, with the reason.
    """

    id: str
    workload: str
    title: str
    shows: str
    size: str
    numel: int
    shape: tuple[int, ...]
    dtype: str
    device: str
    prepare: str
    answer: str
    tolerance: float
    lanes: tuple[Lane, ...]
    skipped: dict[str, str] = {}


class Request(msgspec.Struct, frozen=True):
    """What is to be measured; empty tuples ask for everything. The same request makes the same plan."""

    workloads: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    device: str = "cpu"
    dtype: str = "float32"
    seed: int = 0


class Plan(msgspec.Struct, frozen=True):
    """The comparisons of a run, in the order in which a report shows them."""

    comparisons: tuple[Comparison, ...]


def make_plan(request: Request) -> Plan:
    """The plan for a request.

    The reference is always measured, asked for or not: ratios are taken to it. Raises RequestError for
    a name that does not exist.
    """
    _choose("--dtype", (request.dtype,), DTYPES, str)
    workloads = _choose("--workload", request.workloads, WORKLOADS, lambda workload: workload.name)
    wanted = (*request.methods, REFERENCE) if request.methods else ()
    methods = _choose("--method", wanted, METHODS, lambda method: method.name)
    asked = [size for text in request.sizes or CLASSES for size in parse_size(text)]
    comparisons = []
    for workload in workloads:
        shapes = {workload.shape(workload.sizes[size] if isinstance(size, str) else size) for size in asked}
        comparisons += [_comparison(workload, shape, methods, request) for shape in sorted(shapes)]
    return Plan(tuple(comparisons))


def _comparison(
    workload: Workload, shape: tuple[int, ...], methods: Sequence[Method], request: Request
) -> Comparison:
    device, dtype = request.device, request.dtype
    numel = math.prod(shape)
    options = f"dtype=torch.{dtype}" + ("" if device == "cpu" else f', device="{device}"')
    inputs = {"base": "torch.rand({shape}, {options})", **workload.inputs}
    prepare = "\n".join(
        [f"torch.manual_seed({request.seed})"]
        + [f"{name} = {code.format(shape=shape, options=options)}" for name, code in inputs.items()]
    )
    lanes: list[Lane] = []
    skipped: dict[str, str] = {}
    for method in methods:
        if workload.work is None and method.alone is None:
            skipped[method.name] = "there is no statement without work: it acts on, or through, an operation"
            continue
        lane = _lane(method, workload.work)
        lanes.append(lane)
        if lane.role == "reference":
            lanes.extend(_twins(lane))
    lanes.append(Lane("empty", "empty loop", "empty", "", "pass", "", Expectation()))
    return Comparison(
        id=f"{workload.name}/{numel}/{dtype}/{device}",
        workload=workload.name,
        title=workload.title,
        shows=workload.shows,
        size=size_class(numel),
        numel=numel,
        shape=shape,
        dtype=dtype,
        device=device,
        prepare=prepare,
        answer=workload.answer or "",
        # torch adds up in float32 at least, whatever the dtype of the result.
        tolerance=workload.roundings * EPSILON[dtype]
        + workload.terms(shape) * min(EPSILON[dtype], EPSILON["float32"]),
        lanes=tuple(lanes),
        skipped=skipped,
    )


def _lane(method: Method, work: str | None) -> Lane:
    if work is None:
        setup = method.setup if method.setup_alone is None else method.setup_alone
        statement, has_result = method.alone or "", method.shares is not None
        shares, asks_mode = method.shares, method.disables
    else:
        setup, statement = fill(method.setup, work), fill(method.within, work)
        # With work, the flags of the result already show whether it was recorded.
        has_result, shares, asks_mode = True, False, False
    mode = "torch.is_grad_enabled()"
    return Lane(
        name=method.name,
        label=method.label,
        role="reference" if method.name == REFERENCE else "method",
        setup=_lines(LEAF, setup),
        statement=statement,
        probe=_lines(fill(method.setup, mode), fill(method.within, mode)) if asks_mode else "",
        expect=Expectation(
            input_requires_grad=method.name != REFERENCE,
            result_requires_grad=method.tracks if has_result else None,
            result_is_leaf=not method.tracks if has_result else None,
            result_inference=method.inference if has_result else None,
            shares_storage=shares if has_result else None,
            grad_enabled_inside=False if asks_mode else None,
        ),
        source=method.source,
    )


def _twins(reference: Lane) -> list[Lane]:
    """The A/A controls: the reference once more, on the same storage and on one of its own."""
    replace = msgspec.structs.replace
    return [
        replace(reference, name="twin", label="twin: the reference again", role="twin"),
        replace(
            reference,
            name="twin_own_buffer",
            label="twin on a buffer of its own",
            role="twin_own_buffer",
            setup=_lines("base = base.clone()", reference.setup),
        ),
    ]


def fill(template: str, work: str) -> str:
    """The template with each `WORK(arg)` replaced by the work done on arg, its meaning kept.

    >>> fill("y = WORK(x.detach())", "{x} * 2.0")
    'y = x.detach() * 2.0'
    >>> fill("y = WORK(x).detach()", "{x} * 2.0")
    'y = (x * 2.0).detach()'
    """
    return ast.unparse(_Fill(work).visit(ast.parse(template)))


class _Fill(ast.NodeTransformer):
    """Replaces calls of WORK in a syntax tree, so that parentheses come by themselves."""

    def __init__(self, work: str) -> None:
        self._work = work

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id == "WORK"):
            return node
        work = ast.parse(self._work.replace("{x}", _Put.NAME), mode="eval").body
        done: ast.AST = _Put(node.args[0]).visit(work)
        return done


class _Put(ast.NodeTransformer):
    """Replaces one name by an expression."""

    NAME = "WORKS_ON"

    def __init__(self, argument: ast.expr) -> None:
        self._argument = argument

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._argument if node.id == self.NAME else node


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


T = TypeVar("T")


def _choose(option: str, wanted: Sequence[str], rows: Sequence[T], name: Callable[[T], str]) -> list[T]:
    """The rows that are wanted, in the order of the table; all of them when none is named."""
    known = {name(row): row for row in rows}
    for each in wanted:
        if each not in known:
            near = difflib.get_close_matches(each, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RequestError(f"{option} {each}: expected one of {', '.join(known)}{hint}")
    return [row for key, row in known.items() if not wanted or key in wanted]
