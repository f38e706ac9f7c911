"""What is measured of a model of the user's: its evaluation under every method, its training in parts.

These rows are made for one file, and stand in no table: what the file defines as `model`, `x`, `call` and
`loss` is what they compute with. Beside them stands the price of the controls, on work that is none of the
file's.
"""

from __future__ import annotations

from dataclasses import replace

from gradbench.define.methods import BASELINE, methods
from gradbench.define.workloads.pointwise import ELEMENTWISE
from gradbench.define.workloads.workload import Alternative, Workload
from gradbench.record.plan import PRICE, USER_MODEL

NAME = USER_MODEL
EVALUATION = "evaluation"

# Elements of float32 whose buffers no last cache of a processor holds, so that the control is entered cold,
# as it is between two calls of a model.
BEYOND_CACHES = 4_000_000

_DOCS = "https://docs.pytorch.org/docs/stable/"
# In each variant, so that nothing is added to the names of the file: its functions look them up there.
_LEAF = "from gradbench.models import share\nx = x.detach()\nmodel = share(model)"

_NO_GRADIENTS = "for parameter in model.parameters():\n    parameter.grad = None"
_CLEARED = "all(parameter.grad is None for parameter in model.parameters())"
_SOME = "any(parameter.grad is not None for parameter in model.parameters())"
_ZEROS = f"{_SOME} and not any(p.grad.any() for p in model.parameters() if p.grad is not None)"


def evaluation(file: str, facts: str, calls: bool, roundings: float) -> Workload:
    """The forward pass under each method, in evaluation mode.

    Args:
        file: how the file is called in titles.
        facts: what the model and its input are, in a few words.
        calls: the file says by `call` how the model is called.
        roundings: as in `Workload`.
    """
    return Workload(
        name=NAME,
        part=EVALUATION,
        title=f"{file}: evaluation",
        shows=f"What a forward pass costs under each method, in evaluation mode: {facts}.",
        leaf=f"{_LEAF}.eval()",
        own_buffer="x = x.clone()",
        on_model=True,
        work=_called(calls, "{x}"),
        normwise=True,
        roundings=roundings,
    )


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


def training(file: str, calls: bool, repeats: bool, roundings: float) -> tuple[Workload, ...]:
    """Forward with loss, backward, and both with clearing of the gradients, in the mode that the file sets.

    Args:
        file, calls, roundings: as in `evaluation`.
        repeats: the loss is the same from call to call; where it is not, only that it is finite is compared.
    """
    forward = f"y = {_called(calls, 'x')}\nvalue = loss(y)"
    indented = forward.replace("\n", "\n    ")
    whole = Workload(
        name=NAME,
        part="forward",
        title=f"{file}: training, forward and loss",
        shows="What recording costs while training, against the same forward and loss for validation.",
        leaf=_LEAF,
        own_buffer="x = x.clone()",
        result="value" if repeats else "value.isfinite()",
        normwise=True,
        roundings=roundings,
        baseline="tracked",
        alternatives=(
            Alternative(
                name="tracked",
                label="recorded, for a backward",
                effect="The forward of a training step.",
                code=forward,
                holds="value.requires_grad",
            ),
            Alternative(
                name="no_grad",
                label="under torch.no_grad()",
                effect="The same loss, for validation.",
                source=f"{_DOCS}generated/torch.no_grad.html",
                code=f"with torch.no_grad():\n    {indented}",
                holds="not value.requires_grad",
            ),
            Alternative(
                name="inference_mode",
                label="under torch.inference_mode()",
                effect="The same loss, for validation, as an inference tensor.",
                source=f"{_DOCS}generated/torch.autograd.grad_mode.inference_mode.html",
                code=f"with torch.inference_mode():\n    {indented}",
                holds="value.is_inference()",
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
            setup_per_call=f"{_NO_GRADIENTS}\n{forward}",
            baseline="backward",
            alternatives=(
                Alternative(
                    name="backward",
                    label="backward()",
                    effect="The graph is released on the way.",
                    source=f"{_DOCS}generated/torch.Tensor.backward.html",
                    code="value.backward()",
                    holds=_SOME,
                ),
                Alternative(
                    name="retain_graph",
                    label="backward(retain_graph=True)",
                    effect="The graph is kept for a second backward, and with it what was saved.",
                    source=f"{_DOCS}generated/torch.Tensor.backward.html",
                    code="value.backward(retain_graph=True)",
                    holds=_SOME,
                ),
            ),
        ),
        replace(
            whole,
            part="step",
            title=f"{file}: training, forward, loss, backward and clearing of the gradients",
            shows="What a step costs in time and memory without its optimizer, by how gradients are cleared.",
            statement=f"{forward}\nVARIANT",
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
                    name="by_hand",
                    label="p.grad = None by hand",
                    effect="The same as zero_grad(), in a loop of one's own.",
                    code=f"value.backward()\n{_NO_GRADIENTS}",
                    holds=_CLEARED,
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


def _called(calls: bool, x: str) -> str:
    return f"call(model, {x})" if calls else f"model({x})"
