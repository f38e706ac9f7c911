"""The comparisons of a trial of two sides: those of the plan, or a statement of the user."""

from __future__ import annotations

import msgspec

from gradbench.define.planner import plan_run
from gradbench.errors import RequestError
from gradbench.record.plan import STATEMENT, Comparison, Expectation, Request, Variant

# The methods that people choose between, at the size where a control costs most. More of them take longer.
USUAL_WORKLOADS = ("control", "elementwise", "chain", "square", "custom", "inference")
USUAL_METHODS = ("tracked", "detach", "no_grad", "inference_mode")

# The C library does the same work for both sides: a machine has one C library, and no side brings another.
# ctypes calls it. The work takes about 10 µs in the first cache.
_TASK_SETUP = """\
import ctypes
task_scan = (ctypes.cdll.msvcrt if __import__("os").name == "nt" else ctypes.CDLL(None)).strspn
task_text, task_set = b"a" * 8_192, b"abc"
"""
CALIBRATION_TASK = Variant(
    name="calibration_task",
    label="calibration task",
    role="calibration_task",
    setup=_TASK_SETUP,
    statement="task_scan(task_text, task_set)",
    probe="",
    expect=Expectation(),
    effect="The same work on both sides, by the C library: a difference comes from the machine.",
    result="",
    counted=False,
)


def planned(request: Request) -> tuple[Comparison, ...]:
    """The comparisons of a request as a trial measures them; the usual ones for a request without workloads.

    Raises RequestError as `plan_run` does.
    """
    usual = not request.workloads
    if usual:
        request = msgspec.structs.replace(request, workloads=USUAL_WORKLOADS)
    if not request.sizes:
        request = msgspec.structs.replace(request, sizes=("small",))
    narrowed = usual and not request.methods
    return tuple(_cell(each, narrowed) for each in plan_run(request).comparisons)


def _cell(comparison: Comparison, narrowed: bool) -> Comparison:
    """The comparison with the calibration task, without variants that only serve ratios in one process."""
    variants = [variant for variant in comparison.variants if variant.role in ("baseline", "method")]
    # A copy serves as a limit for other variants. The two sides have the calibration task instead.
    variants = [variant for variant in variants if not variant.limit]
    if narrowed and not comparison.alternatives:
        variants = [
            variant for variant in variants if variant.role == "baseline" or variant.name in USUAL_METHODS
        ]
    setup_per_call = "pass" if any(variant.setup_per_call for variant in variants) else ""
    task = msgspec.structs.replace(CALIBRATION_TASK, setup_per_call=setup_per_call)
    return msgspec.structs.replace(comparison, variants=(*variants, task), every=1)


def written(setup: str, statement: str, device: str = "cpu") -> Comparison:
    """A statement of the user as a comparison with one variant; `device` does its work.

    If `device` is the CPU, the statement may still put tensors on another device, which then does the work.
    Raises RequestError if the statement is not Python.
    """
    for name, code in (("--setup", setup), ("--statement", statement)):
        try:
            compile(code, name, "exec")
        except (SyntaxError, ValueError) as error:
            raise RequestError(f"{name}: expected Python code; {error}") from None
    if not statement.strip():
        raise RequestError("--statement: expected Python code; it is empty")
    variant = Variant(
        name="statement",
        label="statement",
        role="baseline",
        setup="",
        statement=statement,
        probe="",
        expect=Expectation(),
    )
    return Comparison(
        id=STATEMENT,
        workload=STATEMENT,
        title="your statement",
        shows="",
        size="",
        numel=0,
        shape=(),
        dtype="",
        device=device,
        prepare=setup,
        answer="",
        tolerance=0.0,
        variants=(variant, CALIBRATION_TASK),
    )
