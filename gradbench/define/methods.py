"""The gradient-control methods: one row each.

A method is Python text, so that gradbench can make, store and show the plan without torch. A reader can paste
the timed code. In a statement `WORK(arg)` stands for the work of a workload on the tensor `arg`. `x` is a
leaf tensor that requires gradients until a method's setup changes that.

To add a method, add a row to `METHODS`; all other code takes it from `methods()`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradbench.extension import distinct, extended

_TENSOR = "https://docs.pytorch.org/docs/stable/generated/torch.Tensor."
_TORCH = "https://docs.pytorch.org/docs/stable/generated/torch."
_NOTES = "https://docs.pytorch.org/docs/stable/notes/autograd.html"


@dataclass(frozen=True)
class Method:
    """One way to control gradients.

    Attributes:
        name: stable identifier, used on the command line and in results.
        label: the method as a user names it.
        scope: the tensors or operations that it acts on.
        effect: its effect, in a sentence.
        source: the documentation of the effect.
        since: the torch release in which this form became available.
        within: statement around a workload's work; must assign the result to `y`.
        alone: statement with no work in it, for the workload `control`; None where there is nothing to time.
        setup: lines run once per variant before timing, after `x` exists.
        setup_alone: as `setup`, for `alone`; None means the same lines.
        setup_model: as `setup`, where the work goes through a `model` whose parameters are tracked; None
            means the same lines.
        on_input: it acts on the tensor that the work is done on, and not on a model's parameters.
        tracks: whether the result of work under it requires gradients.
        records: whether autograd records the work under it, with any flags on the result.
        inference: whether the result is an inference tensor.
        shares: whether the `y` of `alone` shares its storage with `x`; None where there is no `y`.
        disables: whether grad mode is off inside its scope.
        recommendable: the advice on which method to use may name it.
        entered_as: the method that executes the same, and differs only in how code enters the control. Empty
            for none.
    """

    name: str
    label: str
    scope: str
    effect: str
    source: str
    since: str
    within: str
    alone: str | None
    setup: str = ""
    setup_alone: str | None = None
    setup_model: str | None = None
    on_input: bool = False
    tracks: bool = False
    records: bool = False
    inference: bool = False
    shares: bool | None = None
    disables: bool = False
    recommendable: bool = True
    entered_as: str = ""


METHODS: tuple[Method, ...] = (
    Method(
        name="tracked",
        label="recording (no control)",
        scope="every operation",
        effect="Autograd records each operation on x: the price of not controlling gradients.",
        source=_NOTES,
        since="0.1",
        within="y = WORK(x)",
        alone=None,
        tracks=True,
        records=True,
        recommendable=False,
    ),
    Method(
        name="requires_grad_false",
        label="requires_grad_(False)",
        scope="one tensor, until changed",
        effect="Clears the flag of x once, before the work; the work itself is then not recorded.",
        source=_TENSOR + "requires_grad_.html",
        since="0.4",
        setup="x.requires_grad_(False)",
        within="y = WORK(x)",
        alone="x.requires_grad_(False)",
        setup_alone="",
        setup_model="model.requires_grad_(False)",
    ),
    Method(
        name="detach",
        label="detach() before",
        scope="the new tensor",
        effect="Makes a tensor on the same storage without history, and works on that.",
        source=_TENSOR + "detach.html",
        since="0.1",
        within="y = WORK(x.detach())",
        alone="y = x.detach()",
        on_input=True,
        shares=True,
    ),
    Method(
        name="detach_after",
        label="detach() after",
        scope="the result",
        effect="Records the work, then keeps only the result without its history.",
        source=_TENSOR + "detach.html",
        since="0.1",
        within="y = WORK(x).detach()",
        alone=None,
        records=True,
    ),
    Method(
        name="no_grad",
        label="torch.no_grad()",
        scope="operations in the block",
        effect="Switches recording off for the block, in this thread.",
        source=_TORCH + "no_grad.html",
        since="0.4",
        within="with torch.no_grad():\n    y = WORK(x)",
        alone="with torch.no_grad():\n    pass",
        disables=True,
    ),
    Method(
        name="no_grad_decorator",
        label="@torch.no_grad()",
        scope="operations in the function",
        effect="Applies no_grad() as a decorator; the time includes the call of the function.",
        source=_TORCH + "no_grad.html",
        since="0.4.1",
        setup="@torch.no_grad()\ndef work(x):\n    return WORK(x)",
        within="y = work(x)",
        setup_alone="@torch.no_grad()\ndef work():\n    pass",
        alone="work()",
        disables=True,
        entered_as="no_grad",
    ),
    Method(
        name="no_grad_prebuilt",
        label="torch.no_grad(), object made once",
        scope="operations in the block",
        effect="Enters a no_grad() object that was made once, outside: the bare price of entry and exit.",
        source=_TORCH + "no_grad.html",
        since="0.4",
        setup="guard = torch.no_grad()",
        within="with guard:\n    y = WORK(x)",
        alone="with guard:\n    pass",
        disables=True,
        entered_as="no_grad",
    ),
    Method(
        name="inference_mode",
        label="torch.inference_mode()",
        scope="operations in the block",
        effect="As no_grad(), but results are inference tensors, without version counter or view tracking.",
        source=_TORCH + "autograd.grad_mode.inference_mode.html",
        since="1.9",
        within="with torch.inference_mode():\n    y = WORK(x)",
        alone="with torch.inference_mode():\n    pass",
        inference=True,
        disables=True,
    ),
    Method(
        name="set_grad_enabled_false",
        label="torch.set_grad_enabled(False)",
        scope="operations in the block",
        effect="Switches grad mode to a given value for the block.",
        source=_TORCH + "autograd.grad_mode.set_grad_enabled.html",
        since="0.4",
        within="with torch.set_grad_enabled(False):\n    y = WORK(x)",
        alone="with torch.set_grad_enabled(False):\n    pass",
        disables=True,
        entered_as="no_grad",
    ),
    Method(
        name="data",
        label=".data",
        scope="the new tensor",
        # A write through it gives wrong gradients without an error.
        recommendable=False,
        effect="As detach(), but changes made in place through it are hidden from autograd: unsafe.",
        source="https://github.com/pytorch/pytorch/issues/6990",
        since="0.1",
        within="y = WORK(x.data)",
        alone="y = x.data",
        on_input=True,
        shares=True,
    ),
    Method(
        name="detach_clone",
        label="detach().clone() before",
        scope="the new tensor",
        effect="Copies the values into a new storage, without history, and works on that.",
        source=_TENSOR + "clone.html",
        since="0.1",
        within="y = WORK(x.detach().clone())",
        alone="y = x.detach().clone()",
        on_input=True,
        shares=False,
    ),
)

BASELINE = "requires_grad_false"

# The variants that a comparison has beside its methods, by name.
INSTRUMENTS = ("twin", "twin_own_buffer", "empty", "calibration_task")


def methods() -> tuple[Method, ...]:
    """The methods of gradbench, and those of extensions. Raises RequestError for an extension at fault."""
    rows = extended("methods", METHODS, lambda method: method.name, INSTRUMENTS)
    return distinct("methods", rows, lambda method: method.name)
