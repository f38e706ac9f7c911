"""A piece of the user's work on x, with its model where it has one: executed as variants will execute it.

These checks find methods under which the work fails. The plan leaves them out with the reason, and the run
measures the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gradbench.define.dtypes import EPSILON
from gradbench.define.methods import BASELINE, methods
from gradbench.define.user_model import ALLOWED
from gradbench.measure.agreement import alike
from gradbench.measure.user_code import Mistake, Raised, kind, run_of_user
from gradbench.models import share
from gradbench.record.user_file import Fault, Under

# The methods that represent other methods with the same behaviour.
CONTEXTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}
# The form of training in which only x is tracked.
FROZEN = "frozen"
# The name of the loss in messages.
LOSS_CALLED = "loss(y)"


class Subject:
    """A piece of work on x, with its model where it has one.

    Attributes:
        named: its name in messages.
        model, file: the model, None where there is none; and the path of the user's code.
        tracks_model, tracks_x: whether the model and x are tracked.
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
        self.model = model
        self._x = x.detach()
        self._work = work
        self.file = file
        self._hint = hint

    @property
    def dtypes(self) -> list[torch.dtype]:
        """The dtypes of the parameters."""
        return [] if self.model is None else [each.dtype for each in self.model.parameters()]

    def variant(
        self, frozen: bool = False, training: bool = False, tracks_x: bool | None = None
    ) -> tuple[torch.nn.Module | None, torch.Tensor]:
        """A model and an x with separate flags, on the storages that all share."""
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
            return None if self.model is None else share(self.model)
        except Exception as error:
            raise Mistake(
                "the model cannot be copied, and each method needs a copy with separate flags: "
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
            y = run_of_user(lambda: self._work(model, x), self.named, self.file)
        if not isinstance(y, torch.Tensor):
            hint = self._hint or f"define call(model, x), {_how_to_get_a_tensor(y)}"
            raise Mistake(f"{self.named} returns {kind(y)}: expected a tensor; {hint}")
        if y.layout != torch.strided or y.is_quantized or y.is_nested:
            raise Mistake(f"{self.named} returns {_not_plain(y)}")
        # The written values may equal the old ones. The checks of the variants refuse any write.
        if x._version != version or not torch.equal(before, x.detach()):
            instead = (
                "define call(model, x) that passes x.clone()" if self.model is not None else "use x.clone()"
            )
            raise Mistake(
                f"{self.named} writes to x, which all variants share: expected x as it was; {instead}"
            )
        return y

    def loss_of(
        self, model: torch.nn.Module | None, x: torch.Tensor, loss: Callable[..., Any]
    ) -> torch.Tensor:
        """The loss of a forward. Raises Mistake where it is no single number."""
        y = self.forward(model, x)
        value = run_of_user(partial(loss, y), LOSS_CALLED, self.file)
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
        run_of_user(value.backward, "the backward of loss(y)", self.file)

    def expect_dtype(self, first: torch.Tensor) -> None:
        """Raise Mistake for a result whose precision is unknown."""
        dtype = str(first.dtype).removeprefix("torch.")
        if dtype in EPSILON or (self.forward_only and not first.is_complex()):
            return
        raise Mistake(f"{self.named} returns {dtype}: expected {', '.join(EPSILON)}")

    def expect_same(self, first: torch.Tensor, second: torch.Tensor) -> None:
        """Raise Mistake where two calls differ by more than rounding."""
        if not alike(first, second):
            where = "in evaluation mode too" if self.model is not None else "on the same x"
            raise Mistake(
                f"{self.named} gives another result at each call, {where}: expected the "
                "same, to compare results; "
                + ("give functional dropout training=self.training, and " if self.model is not None else "")
                + "take out other randomness or state"
            )

    def allowed(self, result: torch.Tensor) -> float:
        dtypes = [str(each).removeprefix("torch.") for each in (result.dtype, *self.dtypes)]
        return max((ALLOWED[each] for each in dtypes if each in ALLOWED), default=0.0)

    def label(self, name: str) -> str:
        """The name of a method in a sentence."""
        if name == BASELINE:
            named = [*(["model"] if self.tracks_model else []), *(["x"] if self.tracks_x else [])]
            return " and ".join(f"{each}.requires_grad_(False)" for each in named)
        if name == FROZEN:
            return "model.requires_grad_(False)"
        return next((each.label for each in methods() if each.name == name), name)

    def does_not_work(self, raised: Raised, name: str, inside: bool, where: str = "") -> tuple[Under, Fault]:
        """Why a method is left out, and what to do about it; `where` begins the sentence."""
        label = self.label(name)
        called = raised.what or self.named
        place = "inside the loss" if called == LOSS_CALLED else "inside its forward"
        why = ""
        if inside and name in (BASELINE, FROZEN):
            why = f": it differentiates {place} by what is frozen"
        elif inside and called == LOSS_CALLED:
            # The loss cannot switch recording on for a forward that was not recorded.
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
        return "" if raised.line is None else f"{Path(self.file).name}:{raised.line}"


def flags_of(y: torch.Tensor) -> Under:
    """The flags of a result."""
    return Under("", y.requires_grad, y.is_leaf, y.is_inference())


def _not_plain(y: torch.Tensor) -> str:
    """The kind of a tensor that no check can compare, and the call that makes a plain one of it."""
    if y.is_quantized:
        return "a quantized tensor: expected a plain one; return its dequantize()"
    if y.is_nested:
        return "a nested tensor: expected a plain one; return its to_padded_tensor(0.0)"
    layout = str(y.layout).removeprefix("torch.")
    return f"a tensor of the layout {layout}: expected a plain one; return its to_dense()"


def _how_to_get_a_tensor(y: Any) -> str:
    """Advice on how to get a tensor from a result that is none."""
    if hasattr(y, "logits"):
        return "such as: return model(x).logits"
    if isinstance(y, tuple | list) and y and isinstance(y[0], torch.Tensor):
        return "such as: return model(x)[0]"
    return "which returns one"
