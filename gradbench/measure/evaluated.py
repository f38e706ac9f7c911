"""Checks whether the user's forward works recorded and under each method, in one or two executions each.

Long work is executed as seldom as possible.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field

import torch

from gradbench.define.methods import BASELINE
from gradbench.measure import leave_out
from gradbench.measure.agreement import alike, distance, how_different
from gradbench.measure.execution import SavedTensor
from gradbench.measure.operators import Operators, can_watch
from gradbench.measure.subject import CONTEXTS, Subject, flags_of
from gradbench.measure.threads import other_threads
from gradbench.measure.user_code import Mistake, Raised, hearing_of_a_cut
from gradbench.record.user_file import Differs, Fault, Under

# The operator of torch's fused forward of a transformer, which has a switch.
_FUSED = {"aten._transformer_encoder_layer_fwd", "aten._native_multi_head_attention"}


@dataclass(frozen=True)
class Outcome:
    """One execution: its result or its error, and its operators, where they were watched.

    Attributes:
        elsewhere: other threads worked for it.
    """

    y: torch.Tensor | None
    raised: Raised | None = None
    operators: frozenset[str] | None = None
    seconds: float = 0.0
    elsewhere: bool = False


@dataclass
class Evaluated:
    """The observations of the forward.

    Attributes:
        result: dtype of the recorded result.
        seconds: seconds of a recorded forward.
        long: it takes so long that it is executed as seldom as possible.
        under, differs, faults: as in `FileFacts`.
    """

    result: torch.dtype
    seconds: float
    long: bool
    under: dict[str, Under] = field(default_factory=dict)
    differs: Differs | None = None
    faults: list[Fault] = field(default_factory=list)


def evaluate(subject: Subject) -> Evaluated:
    """Whether the forward works recorded and under each method. Raises Mistake.

    Long work is executed twice, unless an observation needs more executions.
    """
    model, x = subject.variant()
    cut: list[bool] = []
    with hearing_of_a_cut(cut):
        recorded = _executed(subject, model, x, called=False)
    assert recorded.y is not None
    first, seconds = recorded.y, recorded.seconds
    subject.expect_dtype(first)
    outcomes = {BASELINE: _under(subject, BASELINE)}
    frozen = outcomes[BASELINE]
    if frozen.y is not None:
        # The first call of a process takes longer than later calls.
        seconds = min(seconds, frozen.seconds)
    long = seconds > leave_out.LONG
    if not long:
        begun = time.perf_counter()
        subject.expect_same(first, subject.forward(model, x))
        seconds = time.perf_counter() - begun
    strange = (
        (not first.requires_grad and not subject.forward_only)
        or frozen.raised is not None
        or (frozen.y is not None and frozen.y.requires_grad)
    )
    if strange or not long:
        outcomes |= {name: _under(subject, name) for name in CONTEXTS}
    inside = (strange or any(each.raised for each in outcomes.values())) and _differentiates(subject)
    _refuse(subject, first, frozen, inside, any(cut))
    seen = Evaluated(first.dtype, seconds, long)
    if any(cut) and first.requires_grad:
        seen.faults.append(
            Fault(
                "gradients are lost",
                "a checkpoint with use_reentrant=True gets no input that requires gradients, so the "
                "parameters inside get none: use_reentrant=False gives them theirs",
            )
        )
    if not first.requires_grad:
        seen.under["tracked"] = flags_of(first)
    for name, each in outcomes.items():
        _tell(subject, seen, name, each, inside)
    _compare(subject, seen, recorded, outcomes)
    return seen


def _under(subject: Subject, name: str) -> Outcome:
    """One execution under a method, which may raise."""
    model, x = subject.variant(frozen=name == BASELINE)
    with CONTEXTS.get(name, contextlib.nullcontext)():
        try:
            return _executed(subject, model, x, called=True)
        except Raised as raised:
            return Outcome(None, raised)


def _executed(subject: Subject, model: torch.nn.Module | None, x: torch.Tensor, called: bool) -> Outcome:
    """One execution, watched where possible; raises Raised with the error of the unwatched execution."""
    with other_threads(contextlib.nullcontext) as elsewhere:
        if can_watch(called):
            operators = Operators()
            with contextlib.suppress(Raised):
                begun = time.perf_counter()
                y = subject.forward(model, x, operators)
                seconds = time.perf_counter() - begun
                return Outcome(y, None, frozenset(operators.names), seconds, bool(elsewhere.threads))
        begun = time.perf_counter()
        y = subject.forward(model, x)
        return Outcome(y, None, None, time.perf_counter() - begun, bool(elsewhere.threads))


def _differentiates(subject: Subject) -> bool:
    """Whether a backward runs inside the forward: then autograd reads its saved tensors."""
    asked: list[bool] = []

    def unpack(saved: SavedTensor) -> torch.Tensor:
        asked.append(True)
        return saved.unpack()

    try:
        with torch.autograd.graph.saved_tensors_hooks(SavedTensor.of, unpack):
            subject.forward(*subject.variant())
    except Raised as raised:
        # torch.func, which differentiates, refuses these hooks.
        return bool(asked) or "saved tensor hooks" in raised.says
    return bool(asked)


def _refuse(subject: Subject, first: torch.Tensor, frozen: Outcome, inside: bool, cut: bool) -> None:
    """Raise Mistake where recorded and frozen forwards do not differ as they must, without an explanation."""
    if not first.requires_grad and not inside and not subject.forward_only:
        what = "x does" if not subject.tracks_model else "parameters do"
        if cut:
            raise Mistake(
                f"the result of {subject.named} does not require gradients, though {what}: a checkpoint "
                "with use_reentrant=True records nothing where none of its inputs requires gradients; "
                "give it use_reentrant=False"
            )
        raise Mistake(
            f"the result of {subject.named} does not require gradients, though {what}: it is "
            "computed under no_grad() or detached; take that out, since the run measures its gain"
        )
    if inside:
        return
    if frozen.raised is not None:
        raise Mistake(f"with nothing that requires gradients {frozen.raised}")
    if frozen.y is not None and frozen.y.requires_grad:
        if subject.model is None:
            raise Mistake(
                f"the result of {subject.named} requires gradients where x does not: something else that it "
                "uses requires them; expected that x alone is tracked, so detach() the others"
            )
        raise Mistake(
            f"the result of {subject.named} requires gradients after model.requires_grad_(False): expected "
            "that only parameters of the `model` that is passed, and x, are tracked; call that one, and "
            "not another that a function or a hook holds"
        )


def _tell(subject: Subject, seen: Evaluated, name: str, outcome: Outcome, inside: bool) -> None:
    """Note behaviour that differs from the promise of the method."""
    label = subject.label(name)
    if outcome.raised is not None:
        seen.under[name], fault = subject.does_not_work(outcome.raised, name, inside)
        seen.faults.append(fault)
    elif outcome.y is not None and outcome.y.requires_grad:
        seen.under[name] = flags_of(outcome.y)
        why = "differentiates inside its forward" if inside else "switches recording on inside"
        advice = "detach() that result where no code differentiates it"
        if outcome.elsewhere and name != BASELINE:
            why = "works in another thread, and every thread has a separate grad mode"
            advice = f"enter {label} inside that thread"
        seen.faults.append(
            Fault(
                "records under",
                f"under {label} the result of {subject.named} still requires gradients: it {why}; {advice}",
            )
        )
    elif outcome.y is not None and outcome.y.is_inference() != (name == "inference_mode"):
        seen.under[name] = flags_of(outcome.y)


def _compare(subject: Subject, seen: Evaluated, recorded: Outcome, outcomes: dict[str, Outcome]) -> None:
    """Compare the recorded result with an unrecorded one. Raises Mistake where both hold NaN."""
    first = recorded.y
    assert first is not None
    usable = [
        (name, each) for name, each in outcomes.items() if each.y is not None and not each.y.requires_grad
    ]
    unrecorded = usable[0][1] if usable else None
    other = None if unrecorded is None else unrecorded.y
    if first.isnan().any() and (other is None or other.isnan().any()):
        raise Mistake(
            f"the result of {subject.named} holds NaN, which no check can compare: "
            "give x values that it is made for"
        )
    if unrecorded is None or other is None or not first.requires_grad:
        return
    same = alike(first, other, subject.allowed(first))
    if not same and seen.long:
        subject.expect_same(first, subject.forward(*subject.variant()))
    names = [recorded.operators, unrecorded.operators]
    if None in names and can_watch(called=True) and not (same and seen.long):
        again = _executed(subject, *subject.variant(), called=True), _under(subject, usable[0][0])
        names = [each.operators for each in again]
    # In inference mode the mode sees operators before torch decomposes them.
    if usable[0][0] == "inference_mode":
        names = [None, None]
    one, two = (frozenset() if None in names else each or frozenset() for each in names)
    if same and one == two:
        return
    most, relative = distance(first, other)
    differs = Differs(most, relative, not same, tuple(sorted(one - two)), tuple(sorted(two - one)))
    seen.differs = differs
    if not same:
        sentence = f"not recorded, {subject.named} gives another result than recorded: "
        sentence += how_different(first, other, "recorded", "not recorded")
        if differs.operators:
            sentence += f"; {differs.operators}"
        if _FUSED & set(differs.unrecorded_only) and hasattr(torch.backends, "mha"):
            sentence += "; torch.backends.mha.set_fastpath_enabled(False) switches that off"
        seen.faults.insert(0, Fault("values differ", sentence))
