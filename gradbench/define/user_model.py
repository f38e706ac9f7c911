"""From a user's file with a model to a plan."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import msgspec

from gradbench.define.dtypes import EPSILON
from gradbench.define.metrics import measured_metrics
from gradbench.define.planner import comparison_at, compose
from gradbench.define.templates import joined
from gradbench.define.workloads import user_model as own
from gradbench.define.workloads.workload import Workload
from gradbench.errors import RequestError
from gradbench.record.plan import Comparison, Plan, Request
from gradbench.record.user_file import FileFacts
from gradbench.record.versions import VersionFacts

# By the coarsest dtype of the computation, the allowed relative error of the whole result. Variants mostly
# run the same kernels and agree to the bit. Where torch takes another path without recording, as its fused
# attention does, errors add up layer by layer. A wrong result differs by more.
ALLOWED = {"float32": 1e-4, "float64": 1e-12, "bfloat16": 0.1, "float16": 0.02}

# Seconds of a forward. In a longer one the added time of a control is too small to see, so gradbench measures
# it on other work.
PRICED_FROM = 5e-3


def plan_file(name: str, text: str, seen: FileFacts, request: Request, priced: bool | None = None) -> Plan:
    """The plan for a file: evaluation, and training where it defines a loss; the most important part first.

    For a long model the price of the controls on other work is second, since it takes little time.

    `priced` says whether the plan holds this price, for a run that goes on; None decides by the seconds of a
    forward. With methods in the request, the plan holds only comparisons that have one of them. Raises
    RequestError where none has.
    """
    # A colon separates the title of a workload from that of its part.
    title = name.replace(":", "_")
    roundings = ALLOWED[seen.coarsest] / EPSILON[request.dtype]
    facts = f"{model_in_words(seen)}; {x_in_words(seen)}"
    if seen.tracks_x:
        facts += ", and tracked"
    rows: list[Workload] = [own.evaluation(title, facts, roundings, seen)]
    if seen.trains:
        forward, backward, step = own.training(title, roundings, seen)
        # A step needs parameters that get gradients.
        rows += [step, forward, backward] if seen.tracks_model else [forward, backward]
    prepare = seeded(text, request.seed)
    comparisons = [_scripted(compose(row, seen.shape, request, prepare), seen) for row in rows]
    wanted = wanted_of(comparisons, request)
    if not wanted:
        reasons = "; ".join(
            f"{id}: {why}" for id, why in comparisons[0].skipped.items() if id in request.methods
        )
        raise RequestError(
            f"--method {','.join(request.methods)}: nothing to measure; "
            + (reasons or "it is an alternative in training, and the file defines no loss(y)")
        )
    if priced is None:
        priced = seen.forward > PRICED_FROM
    if wanted[0].part == own.EVALUATION and priced and request.device == "cpu":
        price = _price(request)
        if any(variant.role == "method" for variant in price.variants):
            wanted.insert(1, price)
    return Plan(tuple(wanted), metrics=measured_metrics())


def model_in_words(seen: FileFacts | VersionFacts) -> str:
    """How many parameters a model has, and how many are trained."""
    trained = "" if seen.trained == seen.parameters else f", {seen.trained:,} of them trained"
    return f"{seen.parameters:,} parameters{trained}"


def x_in_words(seen: FileFacts | VersionFacts) -> str:
    """The shape and the dtype of x."""
    shape = " × ".join(f"{length:,}" for length in seen.shape) or "a single number"
    return f"x is {shape}, {seen.dtype}"


def wanted_of(comparisons: Iterable[Comparison], request: Request) -> list[Comparison]:
    """The comparisons with a method that the request names, or with an alternative where it names no method.

    Without methods in the request, all.
    """
    return [
        each
        for each in comparisons
        if not request.methods
        or any(
            variant.name in request.methods and (variant.role == "method" or not each.alternatives)
            for variant in each.variants
        )
    ]


def _scripted(comparison: Comparison, seen: FileFacts) -> Comparison:
    """The comparison with flags set parameter by parameter, as TorchScript modules need it."""
    if not seen.scripted:
        return comparison
    variants = list(comparison.variants)
    for flag in ("False", "True"):
        one, each = own.FREEZE.replace("False", flag), own.FREEZE_EACH.replace("False", flag)
        variants = [
            msgspec.structs.replace(variant, setup=variant.setup.replace(one, each)) for variant in variants
        ]
    return msgspec.structs.replace(comparison, variants=tuple(variants))


def _price(request: Request) -> Comparison:
    row = own.price()
    asked = msgspec.structs.replace(request, dtype="float32")
    return comparison_at(row, row.shape(row.sizes["large"]), asked)


def seeded(text: str, seed: int, then: str = "") -> str:
    """The text with torch seeded before its first statement, so that all processes draw the same numbers.

    `then` are lines that follow the seed. The docstring of a program and imports from __future__ stay before
    the seed.
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
    made = joined("import torch", f"torch.manual_seed({seed})", then)
    return "\n".join([*lines[:start], made, *lines[start:]]).rstrip("\n")


def _prologue(statement: ast.stmt, place: int) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return place == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
