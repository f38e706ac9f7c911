"""What is to be measured of a user's code, executed as its variants will execute it.

What does not work under a method is seen here, so that it is left out with its reason, and the rest is
measured. A model that takes long is executed as seldom as can be.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gradbench.define.dtypes import EPSILON
from gradbench.define.methods import BASELINE, methods
from gradbench.define.user_model import ALLOWED
from gradbench.measure.agreement import alike, distance, how_different
from gradbench.measure.anatomy import Watched, storage_bytes
from gradbench.measure.execution import SavedTensor
from gradbench.measure.leave_out import LONG
from gradbench.measure.operators import Operators, can_watch
from gradbench.measure.threads import other_threads
from gradbench.measure.user_code import Drawn, Mistake, Raised, hearing_of_a_cut, kind, run_of_user
from gradbench.models import share
from gradbench.record.anatomy import Kept
from gradbench.record.user_file import Differs, Fault, Under

# The methods that others are entered as, or that work as they do.
CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}
# The way of training in which x alone is tracked.
_FROZEN = "frozen"
# How the loss is called in messages.
_LOSS_CALLED = "loss(y)"
# By which torch takes its fused forward of a transformer, which has a switch.
_FUSED = {"aten._transformer_encoder_layer_fwd", "aten._native_multi_head_attention"}


@dataclass(frozen=True)
class Outcome:
    """One execution: its result, or what it raised; its operators, where they were watched.

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
    """What was seen of the forward.

    Attributes:
        result: dtype of the recorded result.
        seconds: of a recorded forward.
        requires_grad: the recorded result does.
        under, differs, faults: as in `FileFacts`.
    """

    result: torch.dtype
    seconds: float
    requires_grad: bool
    under: dict[str, Under] = field(default_factory=dict)
    differs: Differs | None = None
    faults: list[Fault] = field(default_factory=list)


class Subject:
    """A piece of work on x, with its model where it has one.

    Attributes:
        named: how it is called in messages.
        tracks_model, tracks_x: what of it is tracked.
        forward_only: a result that does not require gradients is no mistake.
    """

    def __init__(
        self,
        model: torch.nn.Module | None,
        x: torch.Tensor,
        work: Callable[[Any, torch.Tensor], Any],
        named: str,
        file: str,
        hint: str = "",
    ) -> None:
        """Where `work` returns no tensor, `hint` says what to do."""
        self.named = named
        self.tracks_x = x.requires_grad
        self.tracks_model = model is not None and any(each.requires_grad for each in model.parameters())
        self.forward_only = False
        self._model = model
        self._x = x.detach()
        self._work = work
        self._file = file
        self._hint = hint
        self._long = False

    @property
    def dtypes(self) -> list[torch.dtype]:
        """The dtypes of the parameters."""
        return [] if self._model is None else [each.dtype for each in self._model.parameters()]

    def variant(
        self, frozen: bool = False, training: bool = False, tracks_x: bool | None = None
    ) -> tuple[torch.nn.Module | None, torch.Tensor]:
        """A model and an x, of flags of their own, on the storages that all share."""
        model = self._copy()
        if model is not None and not training:
            model.eval()
        if model is not None and frozen:
            try:
                for each in model.parameters():
                    each.requires_grad_(False)
            except RuntimeError as error:
                raise Mistake(f"model.requires_grad_(False) raises {type(error).__name__}: {error}") from None
        tracks_x = self.tracks_x and not frozen if tracks_x is None else tracks_x
        return model, self._x.detach().requires_grad_(tracks_x)

    def _copy(self) -> torch.nn.Module | None:
        try:
            return None if self._model is None else share(self._model)
        except Exception as error:
            raise Mistake(
                "the model cannot be copied, and each method needs one with flags of its own: "
                f"{type(error).__name__}: {error}"
            ) from None

    def forward(
        self,
        model: torch.nn.Module | None,
        x: torch.Tensor,
        within: AbstractContextManager[Any] | None = None,
    ) -> torch.Tensor:
        """The result of the work, done `within` a context. Raises Mistake where it is no tensor, or x is
        written to.
        """
        before, version = x.detach().clone(), x._version
        with within or contextlib.nullcontext():
            y = run_of_user(lambda: self._work(model, x), self.named, self._file)
        if not isinstance(y, torch.Tensor):
            hint = self._hint or f"define call(model, x), {_how_to_get_a_tensor(y)}"
            raise Mistake(f"{self.named} returns {kind(y)}: expected a tensor; {hint}")
        if y.layout != torch.strided or y.is_quantized or y.is_nested:
            raise Mistake(f"{self.named} returns {_not_plain(y)}")
        # The values it writes may be those that were there; the variants are refused for the writing.
        if x._version != version or not torch.equal(before, x.detach()):
            instead = (
                "define call(model, x) that passes x.clone()" if self._model is not None else "use x.clone()"
            )
            raise Mistake(
                f"{self.named} writes to x, which all variants share: expected x as it was; {instead}"
            )
        return y

    def evaluate(self) -> Evaluated:
        """How the forward works recorded and under each method. Raises Mistake.

        Work that takes long is executed twice, unless something in it is strange.
        """
        model, x = self.variant()
        cut: list[bool] = []
        with hearing_of_a_cut(cut):
            recorded = self._executed(model, x, called=False)
        assert recorded.y is not None
        first, seconds = recorded.y, recorded.seconds
        self.expect_dtype(first)
        outcomes = {BASELINE: self.under(BASELINE)}
        frozen = outcomes[BASELINE]
        if frozen.y is not None:
            # The first call of a process takes longer than those that follow.
            seconds = min(seconds, frozen.seconds)
        self._long = seconds > LONG
        if not self._long:
            begun = time.perf_counter()
            self.expect_same(first, self.forward(model, x))
            seconds = time.perf_counter() - begun
        strange = (
            (not first.requires_grad and not self.forward_only)
            or frozen.raised is not None
            or (frozen.y is not None and frozen.y.requires_grad)
        )
        if strange or not self._long:
            outcomes |= {name: self.under(name) for name in CONTEXTS}
        inside = (strange or any(each.raised for each in outcomes.values())) and self._differentiates()
        self._refuse(first, frozen, inside, any(cut))
        seen = Evaluated(first.dtype, seconds, first.requires_grad)
        if any(cut) and first.requires_grad:
            seen.faults.append(
                Fault(
                    "gradients are lost",
                    "a checkpoint with use_reentrant=True gets no input that requires gradients, so the "
                    "parameters inside get none: use_reentrant=False gives them theirs",
                )
            )
        if not first.requires_grad:
            seen.under["tracked"] = _flags(first)
        for name, each in outcomes.items():
            self._tell(seen, name, each, inside)
        self._compare(seen, recorded, outcomes)
        return seen

    def under(self, name: str, training: bool = False) -> Outcome:
        """One execution under a method, which may raise."""
        model, x = self.variant(frozen=name == BASELINE, training=training)
        with CONTEXTS.get(name, contextlib.nullcontext)():
            try:
                return self._executed(model, x, called=True)
            except Raised as raised:
                return Outcome(None, raised)

    def _executed(self, model: torch.nn.Module | None, x: torch.Tensor, called: bool) -> Outcome:
        """One execution, watched where that can be; raises Raised with what it raises unwatched."""
        with other_threads(contextlib.nullcontext) as elsewhere:
            if can_watch(called):
                operators = Operators()
                with contextlib.suppress(Raised):
                    begun = time.perf_counter()
                    y = self.forward(model, x, operators)
                    seconds = time.perf_counter() - begun
                    return Outcome(y, None, frozenset(operators.names), seconds, bool(elsewhere.threads))
            begun = time.perf_counter()
            y = self.forward(model, x)
            return Outcome(y, None, None, time.perf_counter() - begun, bool(elsewhere.threads))

    def _differentiates(self) -> bool:
        """Whether a backward runs inside the forward: what was saved for it is asked for again."""
        asked: list[bool] = []

        def unpack(saved: SavedTensor) -> torch.Tensor:
            asked.append(True)
            return saved.unpack()

        try:
            with torch.autograd.graph.saved_tensors_hooks(SavedTensor.of, unpack):
                self.forward(*self.variant())
        except Raised as raised:
            # torch.func, which differentiates, refuses them.
            return bool(asked) or "saved tensor hooks" in raised.says
        return bool(asked)

    def _refuse(self, first: torch.Tensor, frozen: Outcome, inside: bool, cut: bool) -> None:
        """Raise Mistake where recorded and frozen do not differ as they must, and nothing explains it."""
        if not first.requires_grad and not inside and not self.forward_only:
            what = "x does" if not self.tracks_model else "parameters do"
            if cut:
                raise Mistake(
                    f"the result of {self.named} does not require gradients, though {what}: a checkpoint "
                    "with use_reentrant=True records nothing where none of its inputs requires gradients; "
                    "give it use_reentrant=False"
                )
            raise Mistake(
                f"the result of {self.named} does not require gradients, though {what}: it is "
                "computed under no_grad() or detached; take that out, since what it gains is what is measured"
            )
        if inside:
            return
        if frozen.raised is not None:
            raise Mistake(f"with nothing that requires gradients {frozen.raised}")
        if frozen.y is not None and frozen.y.requires_grad:
            if self._model is None:
                raise Mistake(
                    f"the result of {self.named} requires gradients where x does not: something else that it "
                    "uses requires them; expected that x alone is tracked, so detach() the others"
                )
            raise Mistake(
                f"the result of {self.named} requires gradients after model.requires_grad_(False): expected "
                "that only parameters of the `model` that is passed, and x, are tracked; call that one, and "
                "not another that a function or a hook holds"
            )

    def expect_dtype(self, first: torch.Tensor) -> None:
        """Raise Mistake for a result whose precision is not known."""
        dtype = str(first.dtype).removeprefix("torch.")
        if dtype in EPSILON or (self.forward_only and not first.is_complex()):
            return
        raise Mistake(f"{self.named} returns {dtype}: expected {', '.join(EPSILON)}")

    def expect_same(self, first: torch.Tensor, second: torch.Tensor) -> None:
        """Raise Mistake where two calls differ by more than rounding."""
        if not alike(first, second):
            where = "in evaluation mode too" if self._model is not None else "on the same x"
            raise Mistake(
                f"{self.named} gives another result at each call, {where}: expected the "
                "same, to hold results against each other; "
                + ("give functional dropout training=self.training, and " if self._model is not None else "")
                + "take out other randomness or state"
            )

    def label(self, name: str) -> str:
        """How a sentence names a method."""
        if name == BASELINE:
            named = [*(["model"] if self.tracks_model else []), *(["x"] if self.tracks_x else [])]
            return " and ".join(f"{each}.requires_grad_(False)" for each in named)
        if name == _FROZEN:
            return "model.requires_grad_(False)"
        return next((each.label for each in methods() if each.name == name), name)

    def _tell(self, seen: Evaluated, name: str, outcome: Outcome, inside: bool) -> None:
        """Note what is not as the method promises."""
        label = self.label(name)
        if outcome.raised is not None:
            seen.under[name], fault = self.does_not_work(outcome.raised, name, inside)
            seen.faults.append(fault)
        elif outcome.y is not None and outcome.y.requires_grad:
            seen.under[name] = _flags(outcome.y)
            why = "differentiates inside its forward" if inside else "switches recording on inside"
            advice = "detach() that result where nobody differentiates it"
            if outcome.elsewhere and name != BASELINE:
                why = "works in another thread, and a thread has a grad mode of its own"
                advice = f"enter {label} inside that thread"
            seen.faults.append(
                Fault(
                    "records under",
                    f"under {label} the result of {self.named} still requires gradients: it {why}; {advice}",
                )
            )
        elif outcome.y is not None and outcome.y.is_inference() != (name == "inference_mode"):
            seen.under[name] = _flags(outcome.y)

    def does_not_work(self, raised: Raised, name: str, inside: bool, where: str = "") -> tuple[Under, Fault]:
        """Why a method is left out, and what to do about it; `where` begins the sentence."""
        label = self.label(name)
        called = raised.what or self.named
        place = "inside the loss" if called == _LOSS_CALLED else "inside its forward"
        why = ""
        if inside and name in (BASELINE, _FROZEN):
            why = f": it differentiates {place} by what is frozen"
        elif inside and called == _LOSS_CALLED:
            # To switch recording on in the loss is too late for a forward that was not recorded.
            why = (
                f": it differentiates {place}; leave that out of the loss of a validation, or validate "
                f"without {label}"
            )
        elif inside and name == "inference_mode":
            why = (
                f": it differentiates {place}, which inference mode does not record; wrap that in "
                "torch.inference_mode(False), or use torch.no_grad() with torch.enable_grad() inside"
            )
        elif inside:
            why = f": it differentiates {place}; wrap that in torch.enable_grad()"
        reason = f"{where}under it {called} raises {raised.says}"
        sentence = f"{where}under {label} {called} raises {raised.says}{why}"
        return Under(reason), Fault("does not work under", sentence, self._line(raised))

    def _line(self, raised: Raised) -> str:
        return "" if raised.line is None else f"{Path(self._file).name}:{raised.line}"

    def _compare(self, seen: Evaluated, recorded: Outcome, outcomes: dict[str, Outcome]) -> None:
        """Hold the recorded result against one that is not recorded. Raises Mistake where both hold NaN."""
        first = recorded.y
        assert first is not None
        usable = [
            (name, each) for name, each in outcomes.items() if each.y is not None and not each.y.requires_grad
        ]
        unrecorded = usable[0][1] if usable else None
        other = None if unrecorded is None else unrecorded.y
        if first.isnan().any() and (other is None or other.isnan().any()):
            raise Mistake(
                f"the result of {self.named} holds NaN, which no check can tell from another: "
                "give x values that it is made for"
            )
        if unrecorded is None or other is None or not first.requires_grad:
            return
        same = alike(first, other, self._allowed(first))
        if not same and self._long:
            self.expect_same(first, self.forward(*self.variant()))
        names = [recorded.operators, unrecorded.operators]
        if None in names and can_watch(called=True) and not (same and self._long):
            again = self._executed(*self.variant(), called=True), self.under(usable[0][0])
            names = [each.operators for each in again]
        # In inference mode operators are dispatched before they are taken apart.
        if usable[0][0] == "inference_mode":
            names = [None, None]
        one, two = (frozenset() if None in names else each or frozenset() for each in names)
        if same and one == two:
            return
        most, relative = distance(first, other)
        differs = Differs(most, relative, not same, tuple(sorted(one - two)), tuple(sorted(two - one)))
        seen.differs = differs
        if not same:
            sentence = f"not recorded, {self.named} gives another result than recorded: "
            sentence += how_different(first, other, "recorded", "not recorded")
            if differs.operators:
                sentence += f"; {differs.operators}"
            if _FUSED & set(differs.unrecorded_only) and hasattr(torch.backends, "mha"):
                sentence += "; torch.backends.mha.set_fastpath_enabled(False) switches that off"
            seen.faults.insert(0, Fault("values differ", sentence))

    def _allowed(self, result: torch.Tensor) -> float:
        dtypes = [str(each).removeprefix("torch.") for each in (result.dtype, *self.dtypes)]
        return max((ALLOWED[each] for each in dtypes if each in ALLOWED), default=0.0)

    def train(self, loss: Callable[..., Any], evaluated: Evaluated) -> Trained:
        """How forward, loss and backward work. Raises Mistake.

        What takes long is not repeated: its loss counts as the same where no random number was drawn. The
        first time is watched for what its modules keep.
        """
        model, x = self.variant(training=True)
        watched = None if model is None else Watched(model, x, self._file)
        trained = Trained(True, 0.0)
        values: list[torch.Tensor] = []
        seconds = 0.0
        drawn = Drawn()
        cut: list[bool] = []
        while not values or (len(values) == 1 and seconds <= LONG):
            begun = time.perf_counter()
            with hearing_of_a_cut(cut):
                if watched is not None and not values:
                    value = self._watched_loss(watched, model, x, loss)
                    trained.watched, trained.kept = watched, watched.kept()
                else:
                    value = self.loss_of(model, x, loss)
            self.backward(value, any(cut))
            seconds = time.perf_counter() - begun
            if not values and model is not None:
                trained.gradients = storage_bytes(
                    each.grad for each in model.parameters() if each.grad is not None
                )
                named = list(model.named_parameters(remove_duplicate=False))
                trained.reached = frozenset(name for name, each in named if each.grad is not None)
                trained.faults += _without_gradient(model)
            values.append(value.detach())
        tracked = [] if model is None else [each for each in model.parameters() if each.requires_grad]
        if all(each.grad is None for each in (*tracked, x)):
            what = "no parameter of the model" if self.tracks_model else "no x"
            raise Mistake(f"the backward of loss(y) reaches {what}: expected that it does")
        trained.repeats = torch.equal(*values) if len(values) > 1 else not drawn.any()
        trained.seconds = seconds
        if seconds > LONG or self._long:
            trained.under = {
                name: each for name, each in evaluated.under.items() if name in CONTEXTS and each.raises
            }
            trained.apart = evaluated.differs is not None and evaluated.differs.apart
            return trained
        self._other_losses(loss, values[0], evaluated, trained)
        return trained

    def loss_of(
        self, model: torch.nn.Module | None, x: torch.Tensor, loss: Callable[..., Any]
    ) -> torch.Tensor:
        """The loss of a forward. Raises Mistake where it is no single number."""
        y = self.forward(model, x)
        value = run_of_user(partial(loss, y), _LOSS_CALLED, self._file)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            what = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else kind(value)
            raise Mistake(f"loss(y) returns {what}: expected a tensor with one element, as .mean() makes")
        return value

    def backward(self, value: torch.Tensor, cut: bool = False) -> None:
        """The backward of a loss; `cut` where a checkpoint cut its graph. Raises Mistake."""
        if not value.requires_grad:
            raise Mistake(
                "loss(y) does not require gradients: a checkpoint with use_reentrant=True cuts the "
                "graph; give it use_reentrant=False"
                if cut
                else "loss(y) does not require gradients: expected a loss computed from y, undetached"
            )
        if not value.isfinite():
            raise Mistake(f"loss(y) is {value.item()}: expected a finite loss; change the data or the loss")
        run_of_user(value.backward, "the backward of loss(y)", self._file)

    def _watched_loss(
        self,
        watched: Watched,
        model: torch.nn.Module | None,
        x: torch.Tensor,
        loss: Callable[..., Any],
    ) -> torch.Tensor:
        """The loss, watched; unwatched where torch lets nobody watch, as in torch.func."""
        try:
            with watched.watching():
                return self.loss_of(model, x, loss)
        except Exception:
            # What is the user's own is raised again here.
            watched.forget()
            return self.loss_of(model, x, loss)

    def _other_losses(
        self, loss: Callable[..., Any], recorded: torch.Tensor, evaluated: Evaluated, trained: Trained
    ) -> None:
        """The loss where it is not recorded, for validation; and where x alone is tracked."""
        ways: dict[str, tuple[bool, Callable[[], AbstractContextManager[Any]]]] = {
            name: (False, context) for name, context in CONTEXTS.items()
        }
        if self.tracks_x and self.tracks_model:
            ways[_FROZEN] = (True, contextlib.nullcontext)
        for name, (frozen, context) in ways.items():
            model, x = self.variant(frozen=frozen, training=True, tracks_x=self.tracks_x)
            try:
                with context():
                    value = self.loss_of(model, x, loss)
            except Raised as raised:
                inside = "does not require grad" in raised.says
                # A forward that differentiates excuses what the forward raises.
                inside |= raised.what != _LOSS_CALLED and evaluated.under.get(name) is not None
                trained.under[name], fault = self.does_not_work(raised, name, inside, "in training, ")
                if name not in evaluated.under:
                    trained.faults.append(fault)
                continue
            flags = _flags(value)
            if (flags.requires_grad, flags.inference) != (name == _FROZEN, name == "inference_mode"):
                trained.under[name] = flags
            if name in CONTEXTS and trained.repeats:
                trained.apart |= not alike(recorded, value.detach(), self._allowed(value))


@dataclass
class Trained:
    """What was seen of training.

    Attributes:
        repeats, under, apart, faults: as in `FileFacts`, of the loss.
        seconds: of forward, loss and backward.
        watched, kept: what saw the modules at work, and what they kept for the backward.
        gradients: bytes of the gradients of parameters, after one backward.
        reached: names of the parameters that have one; a tied parameter has several.
    """

    repeats: bool
    seconds: float
    under: dict[str, Under] = field(default_factory=dict)
    apart: bool = False
    faults: list[Fault] = field(default_factory=list)
    watched: Watched | None = None
    kept: tuple[Kept, ...] = ()
    gradients: int = 0
    reached: frozenset[str] = frozenset()


def _without_gradient(model: torch.nn.Module) -> list[Fault]:
    """Parameters that are tracked, and get no gradient in a training step."""
    tracked = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
    missed = [(name, each.numel()) for name, each in tracked if each.grad is None]
    # That none gets any is refused elsewhere.
    if not missed or len(missed) == len(tracked):
        return []
    elements, all_of_them = sum(count for _, count in missed), sum(each.numel() for _, each in tracked)
    names = missed[0][0] + (f" and {len(missed) - 1} more" if len(missed) > 1 else "")
    return [
        Fault(
            "no gradient",
            f"{elements:,} of {all_of_them:,} trainable elements get no gradient in training ({names}): they "
            "are not used, or what they compute is detached or under no_grad()",
        )
    ]


def _flags(y: torch.Tensor) -> Under:
    return Under("", y.requires_grad, y.is_leaf, y.is_inference())


def _not_plain(y: torch.Tensor) -> str:
    """What a tensor is that no check can hold against another, and how a plain one is had of it."""
    if y.is_quantized:
        return "a quantized tensor: expected a plain one; return its dequantize()"
    if y.is_nested:
        return "a nested tensor: expected a plain one; return its to_padded_tensor(0.0)"
    layout = str(y.layout).removeprefix("torch.")
    return f"a tensor of the layout {layout}: expected a plain one; return its to_dense()"


def _how_to_get_a_tensor(y: Any) -> str:
    """How a tensor may be had of a result that is none."""
    if hasattr(y, "logits"):
        return "such as: return model(x).logits"
    if isinstance(y, tuple | list) and y and isinstance(y[0], torch.Tensor):
        return "such as: return model(x)[0]"
    return "which returns one"
