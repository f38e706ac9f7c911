"""A user's file with a model: read here, and inspected in a worker."""

from __future__ import annotations

import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gradbench.define.methods import methods as all_methods
from gradbench.define.user_model import plan_file
from gradbench.define.workloads import user_model
from gradbench.errors import RequestError
from gradbench.extension import choose
from gradbench.measure.process import WorkerLost, ask_fresh
from gradbench.measure.protocol import FileRejected, Task, WorkerSettings
from gradbench.record.anatomy import Anatomy
from gradbench.record.plan import PRICE, Comparison, Plan, Request
from gradbench.record.user_file import Fault, FileFacts

# The least executions of a variant in a visit of short calls: check, calibration, and five rounds of two
# calls.
FEWEST_CALLS = 14


# A full look at a file.
LOOK = Task(None, 0.0)


@dataclass(frozen=True)
class UserModel:
    """A user's file, and the plan for it.

    Attributes:
        file: its path; None for an expression.
        plan, request: plan and request of its run.
        load: seconds to run the file.
        calls: by comparison id, rough seconds of a call.
        records: records of the file for its results.
    """

    file: Path | None
    plan: Plan
    request: Request
    load: float
    calls: dict[str, float]
    records: tuple[Anatomy | Fault, ...] = ()

    @property
    def longest(self) -> float:
        """Rough seconds of the longest visit, with as many executions as for short calls."""
        visits = (len(each.variants) * self.calls[each.id] for each in self.plan.comparisons)
        return self.load + FEWEST_CALLS * max(visits)


def plan_user_model(
    file: Path,
    methods: tuple[str, ...],
    seed: int,
    preset: str,
    threads: int,
    look: Task = LOOK,
    priced: bool | None = None,
) -> UserModel:
    """Read a file, let a worker look at it, and make its plan.

    `methods` are the wanted methods and alternatives; empty for all. `look` is the look at the file's
    training. `priced` says whether the controls are priced (see `plan_file`). Raises RequestError in one line
    for any fault of the file.
    """
    names = [*(method.name for method in all_methods()), *user_model.alternative_names()]
    choose("--method", methods, list(dict.fromkeys(names)), str)
    text = read(file)
    facts = inspect_file(file, text, seed, threads, look)
    request = Request((user_model.NAME,), methods, (), facts.device, facts.result, seed, preset)
    plan = plan_file(file.name, text, facts, request, priced)
    calls = {each.id: _call(each, facts) for each in plan.comparisons}
    anatomy = () if facts.anatomy is None else (facts.anatomy,)
    return UserModel(file, plan, request, facts.load, calls, (*anatomy, *facts.faults))


# Rough seconds of a call of the work that measures the price of the controls.
_PRICE = 5e-3


def _call(comparison: Comparison, facts: FileFacts) -> float:
    if comparison.workload == PRICE:
        return _PRICE
    return facts.forward if comparison.part == "evaluation" else facts.step


def read(file: Path, wanted: str = "that defines `model` and `x`") -> str:
    """The text of a Python file; messages describe it by `wanted`. Raises RequestError for any other."""
    try:
        str(file.absolute()).encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"{file}: its name, or that of its folder, is no text under this locale; rename it, or set "
            "PYTHONUTF8=1"
        ) from None
    if not file.is_file():
        what = "it is a folder" if file.is_dir() else "there is none"
        raise RequestError(f"{file}: expected a Python file {wanted}; {what}")
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
        # Compile it as a program: `compile` refuses some text that `ast` accepts. Its warnings are for the
        # author.
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


def inspect_file(file: Path, text: str, seed: int, threads: int, look: Task = LOOK) -> FileFacts:
    """The facts that a worker finds by this look. Raises RequestError with the fault of the file."""
    settings = WorkerSettings(0, "memory", seed, threads, file=str(file.absolute()))
    try:
        message = ask_fresh(settings, msgspec.structs.replace(look, file_text=text))
    except WorkerLost as lost:
        raise RequestError(
            f"{file}: cannot be measured: {lost}; check that it runs: python {file.name}"
        ) from None
    if isinstance(message, FileRejected):
        raise RequestError(f"{file}: {message.message}")
    assert isinstance(message, FileFacts)
    return message
