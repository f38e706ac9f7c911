"""A model of the user's: its file is read here and looked at in a worker, and a plan is made of it."""

from __future__ import annotations

import ast
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from gradbench.errors import RequestError
from gradbench.job import Job, Refused, Seen, Task
from gradbench.methods import METHODS
from gradbench.plan import EPSILON, Comparison, Plan, Request, choose, compose
from gradbench.worker import START_TIMEOUT, WorkerLost, WorkerProcess
from gradbench.workloads import own
from gradbench.workloads.workload import Workload

# By the coarsest dtype that is computed in, the relative error of the whole result that is allowed. Variants
# mostly run the same kernels and agree to the bit; where torch takes another path without recording, as its
# fused attention does, errors add up layer by layer. A result that is wrong is off by more.
ALLOWED = {"float32": 1e-4, "float64": 1e-12, "bfloat16": 0.1, "float16": 0.02}

# Executions of a variant in a visit at least: check, calibration, and five rounds of a call and the one before.
FEWEST_CALLS = 14


@dataclass(frozen=True)
class UserModel:
    """A file of the user's, and what is to be measured of it.

    Attributes:
        file: where it stands.
        plan, request: of its run.
        visit, one_pass: seconds that the longest visit, and a pass, take at the least; rough.
    """

    file: Path
    plan: Plan
    request: Request
    visit: float
    one_pass: float


def plan_user_model(file: Path, methods: tuple[str, ...], seed: int, preset: str, threads: int) -> UserModel:
    """Read a file, have a worker look at it, and plan what is measured of it.

    `methods` are the methods and alternatives that are wanted; empty for all. Raises RequestError in one line for
    whatever is wrong with the file.
    """
    rows = [own.evaluation("", "", False, 1.0), *own.training("", False, True, 1.0)]
    names = [*(method.name for method in METHODS), *(alternative.name for row in rows for alternative in row.alternatives)]
    choose("--method", methods, list(dict.fromkeys(names)), str)
    text = read(file)
    seen = look_at(file, text, seed, threads)
    request = Request((own.NAME,), methods, (), seen.device, seen.result, seed, preset)
    plan = make_plan(file.name, text, seen, request)
    visits = {
        each.id: seen.load + len(each.variants) * FEWEST_CALLS * _call(each, seen) for each in plan.comparisons
    }
    return UserModel(file, plan, request, max(visits.values()), sum(visits.values()))


def _call(comparison: Comparison, seen: Seen) -> float:
    return seen.forward if comparison.part == "evaluation" else seen.step


def read(file: Path) -> str:
    """The text of a file of Python. Raises RequestError where it is none."""
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"{file}: its name, or that of its folder, is no text under this locale; rename it, or set "
            "PYTHONUTF8=1"
        ) from None
    if not file.is_file():
        what = "it is a folder" if file.is_dir() else "there is none"
        raise RequestError(f"{file}: expected a Python file that defines `model` and `x`; {what}")
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
        # As a program is read: what `ast` takes, `compile` may still refuse. Its warnings are the author's.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, file.name, "exec", dont_inherit=True)
    except OSError as error:
        raise RequestError(f"{file}: cannot be read: {error.strerror}") from None
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise RequestError(f"{file}: expected Python; {line}{error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise RequestError(f"{file}: expected Python; {error}") from None
    return text


def look_at(file: Path, text: str, seed: int, threads: int) -> Seen:
    """What a worker sees of the file. Raises RequestError with what is wrong with it."""
    job = Job(0, "memory", seed, threads, file=str(file.absolute()))
    with WorkerProcess(job, 0, 0, "system") as worker:
        worker.ready()
        try:
            # To load a model and to call it a few times may take as long as torch itself.
            (message,) = worker.visit(Task(None, 0.0, look=text), START_TIMEOUT)
        except WorkerLost as lost:
            raise RequestError(
                f"{file}: cannot be measured: {lost}; check that it runs: python {file.name}"
            ) from None
    if isinstance(message, Refused):
        raise RequestError(f"{file}: {message.message}")
    assert isinstance(message, Seen)
    return message


def make_plan(name: str, text: str, seen: Seen, request: Request) -> Plan:
    """What is measured of a file: evaluation, and training where it defines a loss.

    With methods in the request, only what has one of them. Raises RequestError where nothing has.
    """
    # A colon parts the title of a workload from that of its part.
    title = name.replace(":", "_")
    roundings = ALLOWED[seen.coarsest] / EPSILON[request.dtype]
    trained = "" if seen.trained == seen.parameters else f", {seen.trained:,} of them trained"
    shape = " × ".join(f"{length:,}" for length in seen.shape) or "a single number"
    facts = f"{seen.parameters:,} parameters{trained}; x is {shape}, {seen.dtype}"
    rows: list[Workload] = [own.evaluation(title, facts, seen.calls, roundings)]
    if seen.trains:
        rows += own.training(title, seen.calls, seen.repeats, roundings)
    prepare = seeded(text, request.seed)
    comparisons = [compose(row, seen.shape, request, prepare) for row in rows]
    wanted = [
        each
        for each in comparisons
        if not request.methods
        or any(
            variant.name in request.methods and (variant.role == "method" or not each.alternatives) for variant in each.variants
        )
    ]
    if not wanted:
        reasons = "; ".join(
            f"{id}: {why}" for id, why in comparisons[0].skipped.items() if id in request.methods
        )
        raise RequestError(
            f"--method {','.join(request.methods)}: nothing to measure; "
            + (reasons or "it is an alternative in training, and the file defines no loss(y)")
        )
    return Plan(tuple(wanted))


def seeded(text: str, seed: int) -> str:
    """The text with torch seeded before its first statement, so that all processes draw the same numbers.

    What must stand first in a program stays there: its docstring, and imports from __future__.
    """
    body = ast.parse(text).body
    first = 0
    while first < len(body) and _prologue(body[first], first):
        first += 1
    before = body[first - 1].end_lineno or 0 if first else 0
    start = before
    if first < len(body):
        following = body[first]
        decorators = getattr(following, "decorator_list", [])
        start = max(before, min(each.lineno for each in (following, *decorators)) - 1)
    lines = text.split("\n")
    return "\n".join([*lines[:start], f"import torch\ntorch.manual_seed({seed})", *lines[start:]]).rstrip(
        "\n"
    )


def _prologue(statement: ast.stmt, place: int) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return place == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
