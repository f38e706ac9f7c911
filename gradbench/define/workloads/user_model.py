"""What is measured of a model of the user's: its evaluation under every method, its training in parts.

These rows are made for one file, and stand in no table: what the file defines as `model`, `x`, `call` and
`loss` is what they compute with. Beside them stands the price of the controls, on work that is none of the
file's.
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

# Elements of float32 whose buffers no last cache of a processor holds, so that the control is entered cold,
# as it is between two calls of a model.
BEYOND_CACHES = 4_000_000

# As `gradbench.define.methods` writes it.
FREEZE = "model.requires_grad_(False)"
# A TorchScript module refuses that.
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
    """An x and a model of the variant's own, x tracked where the file's is.

    In each variant, so that nothing is added to the names of the file: its functions look them up there.
    """
    tracked = ".requires_grad_()" if seen.tracks_x else ""
    return f"{_SHARE}\nx = x.detach(){tracked}\nmodel = share(model)"


def evaluation(file: str, facts: str, roundings: float, seen: FileFacts) -> Workload:
    """The forward pass under each method, in evaluation mode.

    Args:
        file: how the file is called in titles.
        facts: what the model and its input are, in a few words.
        roundings: as in `Workload`.
        seen: what the file tracks, and under what its model does not work as methods promise.
    """
    return Workload(
        name=NAME,
        part=EVALUATION,
        title=f"{file}: evaluation",
        shows=f"What a forward pass costs under each method, in evaluation mode: {facts}.{_operators(seen)}",
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
    """The method that ratios of a forward are taken to.

    Where freezing does not end recording there is nothing unrecorded to compare with.
    """
    frozen = seen.under.get(BASELINE)
    return "tracked" if frozen is not None and (frozen.raises or frozen.requires_grad) else BASELINE


def _operators(seen: FileFacts) -> str:
    """What explains times that differ by more than a control costs: torch takes another path."""
    clause = "" if seen.differs is None else seen.differs.operators
    return f" {clause[0].upper()}{clause[1:]}." if clause else ""


def price() -> Workload:
    """What the controls add in place: those that are entered around work, on a single operation."""
    return replace(
        ELEMENTWISE,
        name=PRICE,
        part=ELEMENTWISE.name,
        title=f"price of the controls, on other work: {ELEMENTWISE.title}",
        shows="What a control adds in place, beyond the caches: it bounds what it adds to a long call.",
        purpose="",
        methods=(BASELINE, *(each.name for each in methods() if each.disables)),
        sizes={"large": BEYOND_CACHES},
    )


def training(file: str, roundings: float, seen: FileFacts) -> tuple[Workload, ...]:
    """Forward with loss, backward, and both with clearing of the gradients, in the mode that the file sets.

    Arguments as in `evaluation`. Of a loss that is another at each call only that it is finite is compared.
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
        shows="What recording costs while training, against the same forward and loss for validation.",
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
                # What the model was seen to do is not promised.
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
            shows="What a backward costs, and what it costs to keep the graph for a second one.",
            setup_per_call=f"{cleared}\n{forward}",
            baseline="backward",
            alternatives=(
                backward("value.backward()", some, one),
                *(replace(each, code="value.backward()", holds=_INPUT) for each in flagged),
                retaining("value.backward(retain_graph=True)", some, one),
                # Without --method it is measured where x is tracked.
                *([_GRAD] if seen.tracks_x else []),
            ),
        ),
        replace(
            whole,
            part="step",
            title=f"{file}: training, forward, loss, backward and clearing of the gradients",
            shows="What a step costs in time and memory without its optimizer, and what would save.",
            statement=joined(f"{forward}\nVARIANT", _NO_INPUT_GRADIENT if seen.tracks_x else ""),
            timeline=True,
            baseline="set_to_none",
            alternatives=(
                Alternative(
                    name="set_to_none",
                    label="model.zero_grad()",
                    effect="The gradients are released; this is the default since 2.0.",
                    source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.zero_grad",
                    code="value.backward()\nmodel.zero_grad()",
                    holds=_CLEARED,
                ),
                *(_changed(each) for each in seen.changes),
                Alternative(
                    name="set_to_zero",
                    label="model.zero_grad(set_to_none=False)",
                    effect="The gradients stand from step to step, filled with zeros to which the next "
                    "backward adds.",
                    source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.zero_grad",
                    code="value.backward()\nmodel.zero_grad(set_to_none=False)",
                    holds=_ZEROS,
                ),
                Alternative(
                    name="retain_graph",
                    label="backward(retain_graph=True), zero_grad()",
                    effect="The graph is kept until the loss is let go of.",
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
        # A loss of other data is another one.
        result=None if change.same_loss else "",
    )


_GRAD = input_gradient(
    label="torch.autograd.grad(value, x)",
    effect="The gradient of x alone: those of parameters are not computed, though they are tracked.",
    code="(gradient,) = torch.autograd.grad(value, x)",
)


def _input_gradient(seen: FileFacts, group: str) -> tuple[Alternative, ...]:
    """Where x is tracked: the model with the flags of its parameters as the file has not set them."""
    if not seen.tracks_x or not seen.parameters:
        return ()
    setup = FREEZE if seen.tracks_model else FREEZE.replace("False", "True")
    return (
        Alternative(
            name="frozen" if seen.tracks_model else "unfrozen",
            label=setup,
            effect="The gradient of x alone: what only gradients of parameters need is not saved."
            if seen.tracks_model
            else "The parameters are tracked as well, though only the gradient of x is wanted.",
            source=f"{_DOCS}generated/torch.nn.Module.html#torch.nn.Module.requires_grad_",
            setup=setup,
            recommendable=seen.tracks_model,
            group=group,
        ),
    )


def alternative_names() -> list[str]:
    """What a training may be measured in, whatever the file tracks."""
    seen = FileFacts((1,), "float32", "cpu", "float32", "float32", 1, 1, False, True, True, 0.0, 0.0, 0.0)
    files = [msgspec.structs.replace(seen, tracks_model=tracks, tracks_x=True) for tracks in (True, False)]
    rows = [row for each in files for row in training("", 1.0, each)]
    return list(dict.fromkeys(alternative.name for row in rows for alternative in row.alternatives))


def _called(seen: FileFacts, x: str) -> str:
    return f"call(model, {x})" if seen.calls else f"model({x})"
