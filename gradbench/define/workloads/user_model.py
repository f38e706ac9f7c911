"""The workloads of a user's model: its evaluation under every method, its training in parts.

gradbench makes
these rows for one file. They are in no table. They compute with the `model`, `x`, `call` and `loss` that the
file defines. Beside them is the price of the controls, on other work than the file's.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gradbench.define.methods import BASELINE, methods
from gradbench.define.templates import joined
from gradbench.define.workloads.backwards import backward, input_gradient, retaining
from gradbench.define.workloads.pointwise import ELEMENTWISE
from gradbench.define.workloads.workload import Alternative, Workload
from gradbench.record.anatomy import Change
from gradbench.record.plan import PRICE, USER_MODEL
from gradbench.record.user_file import FileFacts

NAME = USER_MODEL
EVALUATION = "evaluation"

# This many elements of float32 fit in no last cache of a processor. So the variant enters the control cold,
# as between two calls of a model.
BEYOND_CACHES = 4_000_000

# The same lines as in `gradbench.define.methods`.
FREEZE = "model.requires_grad_(False)"
# A TorchScript module refuses requires_grad_().
FREEZE_EACH = "for parameter in model.parameters():\n    parameter.requires_grad_(False)"

_DOCS = "https://docs.pytorch.org/docs/stable/"
_SHARE = "from gradbench.models import share"

_NO_GRADIENTS = "for parameter in model.parameters():\n    parameter.grad = None"
_CLEARED = "all(parameter.grad is None for parameter in model.parameters())"
_SOME = "any(parameter.grad is not None for parameter in model.parameters())"
_NO_INPUT_GRADIENT = "x.grad = None"
_INPUT = "x.grad is not None"
_ZEROS = f"{_SOME} and not any(p.grad.any() for p in model.parameters() if p.grad is not None)"


def _leaf(seen: FileFacts) -> str:
    """Code for a separate x and model of the variant, x tracked where the file's is.

    Each variant has this code, so that it adds no name to those of the file, where its functions look names
    up.
    """
    tracked = ".requires_grad_()" if seen.tracks_x else ""
    return f"{_SHARE}\nx = x.detach(){tracked}\nmodel = share(model)"


def evaluation(file: str, facts: str, roundings: float, seen: FileFacts) -> Workload:
    """The forward pass under each method, in evaluation mode.

    Args:
        file: the name of the file in titles.
        facts: the model and its input, in a few words.
        roundings: as in `Workload`.
        seen: the tensors that the file tracks, and the methods whose promise its model breaks.
    """
    return Workload(
        name=NAME,
        part=EVALUATION,
        title=f"{file}: evaluation",
        shows=f"The price of a forward under each method, in evaluation mode: {facts}.{_operators(seen)}",
        leaf=f"{_leaf(seen)}.eval()",
        own_buffer="x = x.clone()",
        baseline=baseline_of(seen),
        on_model=seen.tracks_model,
        with_input=seen.tracks_x,
        observed=seen.under,
        apart=seen.differs is not None and seen.differs.apart,
        work=_called(seen, "{x}"),
        normwise=True,
        roundings=roundings,
    )


def baseline_of(seen: FileFacts) -> str:
    """The method that is the baseline of a forward.

    Where freezing does not end recording, no unrecorded forward exists to compare with.
    """
    frozen = seen.under.get(BASELINE)
    return "tracked" if frozen is not None and (frozen.raises or frozen.requires_grad) else BASELINE


def _operators(seen: FileFacts) -> str:
    """The sentence that explains times which differ by more than a control: torch takes another path."""
    clause = "" if seen.differs is None else seen.differs.operators
    return f" {clause[0].upper()}{clause[1:]}." if clause else ""


def price() -> Workload:
    """The price in place of the controls that are entered around work, on a single operation."""
    return replace(
        ELEMENTWISE,
        name=PRICE,
        part=ELEMENTWISE.name,
        title=f"price of the controls, on other work: {ELEMENTWISE.title}",
        shows="The price of a control in place, beyond the caches. It bounds the time that a control adds "
        "to a "
        "long call.",
        purpose="",
        methods=(BASELINE, *(each.name for each in methods() if each.disables)),
        sizes={"large": BEYOND_CACHES},
    )


def training(file: str, roundings: float, seen: FileFacts) -> tuple[Workload, ...]:
    """Forward with loss, backward, and both with clearing of the gradients, in the mode that the file sets.

    Arguments as in `evaluation`. Where the loss changes from call to call, the check only asks whether it is
    finite.
    """
    forward = f"y = {_called(seen, 'x')}\nvalue = loss(y)"
    one, other = ("recorded", "unrecorded") if seen.training_apart else ("", "")
    cleared = joined(_NO_GRADIENTS if seen.tracks_model else "", _NO_INPUT_GRADIENT if seen.tracks_x else "")
    some = " or ".join([*([_SOME] if seen.tracks_model else []), *([_INPUT] if seen.tracks_x else [])])
    flagged = _input_gradient(seen, one)
    indented = forward.replace("\n", "\n    ")
    whole = Workload(
        name=NAME,
        part="forward",
        title=f"{file}: training, forward and loss",
        shows="The price of recording in training, against the same forward and loss for validation.",
        leaf=_leaf(seen),
        own_buffer="x = x.clone()",
        result="value" if seen.repeats else "value.isfinite()",
        normwise=True,
        roundings=roundings,
        observed=seen.training,
        baseline="tracked",
        alternatives=(
            Alternative(
                name="tracked",
                label="recorded, for a backward",
                effect="The forward of a training step.",
                code=forward,
                holds="value.requires_grad",
                group=one,
            ),
            *(replace(each, code=forward, holds="value.requires_grad") for each in flagged),
            Alternative(
                name="no_grad",
                label="under torch.no_grad()",
                effect="The same loss, for validation.",
                source=f"{_DOCS}generated/torch.no_grad.html",
                code=f"with torch.no_grad():\n    {indented}",
                # The observed behaviour of the model is not a promise.
                holds="" if "no_grad" in seen.training else "not value.requires_grad",
                group=other,
            ),
            Alternative(
                name="inference_mode",
                label="under torch.inference_mode()",
                effect="The same loss, for validation, as an inference tensor.",
                source=f"{_DOCS}generated/torch.autograd.grad_mode.inference_mode.html",
                code=f"with torch.inference_mode():\n    {indented}",
                holds="" if "inference_mode" in seen.training else "value.is_inference()",
                group=other,
            ),
        ),
    )
    return (
        whole,
        replace(
            whole,
            part="backward",
            title=f"{file}: training, backward",
            shows="The price of a backward, and of keeping the graph for a second one.",
            setup_per_call=f"{cleared}\n{forward}",
            baseline="backward",
            alternatives=(
                backward("value.backward()", some, one),
                *(replace(each, code="value.backward()", holds=_INPUT) for each in flagged),
                retaining("value.backward(retain_graph=True)", some, one),
                # Without --method the run measures it only where x is tracked.
                *([_GRAD] if seen.tracks_x else []),
            ),
        ),
        replace(
            whole,
            part="step",
            title=f"{file}: training, forward, loss, backward and clearing of the gradients",
            shows="The time and memory of a step without its optimizer, and changes that would save memory.",
            statement=joined(f"{forward}\nVARIANT", _NO_INPUT_GRADIENT if seen.tracks_x else ""),
            timeline=True,
            baseline="set_to_none",
            alternatives=(
                Alternative(
                    name="set_to_none",
                    label="model.zero_grad()",
                    effect="Releases the gradients; this is the default since 2.0.",
                    source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.zero_grad",
                    code="value.backward()\nmodel.zero_grad()",
                    holds=_CLEARED,
                ),
                *(_changed(each) for each in seen.changes),
                Alternative(
                    name="set_to_zero",
                    label="model.zero_grad(set_to_none=False)",
                    effect="Keeps the gradients from step to step, filled with zeros to which the next "
                    "backward adds.",
                    source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.zero_grad",
                    code="value.backward()\nmodel.zero_grad(set_to_none=False)",
                    holds=_ZEROS,
                ),
                Alternative(
                    name="retain_graph",
                    label="backward(retain_graph=True), zero_grad()",
                    effect="Keeps the graph until the loss is released.",
                    source=f"{_DOCS}generated/torch.Tensor.backward.html",
                    code="value.backward(retain_graph=True)\nmodel.zero_grad()",
                    holds=_CLEARED,
                ),
            ),
        ),
    )


def _changed(change: Change) -> Alternative:
    """A step with a change of the model or of x."""
    return Alternative(
        name=change.name,
        label=change.label,
        effect=f"{change.effect[0].upper()}{change.effect[1:]}.",
        setup=change.code,
        code="value.backward()\nmodel.zero_grad()",
        holds=_CLEARED,
        # Other data give another loss.
        result=None if change.same_loss else "",
    )


_GRAD = input_gradient(
    label="torch.autograd.grad(value, x)",
    effect="Computes the gradient of x alone, and not those of the parameters, though they are tracked.",
    code="(gradient,) = torch.autograd.grad(value, x)",
)


def _input_gradient(seen: FileFacts, group: str) -> tuple[Alternative, ...]:
    """Where x is tracked: the model with the opposite flags on its parameters."""
    if not seen.tracks_x or not seen.parameters:
        return ()
    setup = FREEZE if seen.tracks_model else FREEZE.replace("False", "True")
    return (
        Alternative(
            name="frozen" if seen.tracks_model else "unfrozen",
            label=setup,
            effect="Computes the gradient of x alone, and saves no tensor that only gradients of parameters "
            "need."
            if seen.tracks_model
            else "Tracks the parameters as well, though only the gradient of x is wanted.",
            source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
            setup=setup,
            recommendable=seen.tracks_model,
            group=group,
        ),
    )


def alternative_names() -> list[str]:
    """The names of the alternatives for a training step, for files that track any tensors."""
    seen = FileFacts((1,), "float32", "cpu", "float32", "float32", 1, 1, False, True, True, 0.0, 0.0, 0.0)
    files = [msgspec.structs.replace(seen, tracks_model=tracks, tracks_x=True) for tracks in (True, False)]
    rows = [row for each in files for row in training("", 1.0, each)]
    return list(dict.fromkeys(alternative.name for row in rows for alternative in row.alternatives))


def _called(seen: FileFacts, x: str) -> str:
    return f"call(model, {x})" if seen.calls else f"model({x})"
