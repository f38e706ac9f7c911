"""The workloads of a user's versions: evaluation, the recorded forward, and a training step.

gradbench makes
these rows for one run. They are in no table. A version is an alternative, the first the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradbench.define.workloads.workload import Alternative, Workload
from gradbench.record.plan import VERSIONS

EVALUATION = "evaluation"
RECORDED = "recorded"
STEP = "step"

_EVALUATED_X = "x = x.detach()"
# A file may need gradients of its x as well.
_RECORDED_X = "x = x.detach().requires_grad_(x.requires_grad)"
_TRAINED_X = "x = x.detach().requires_grad_()"


@dataclass(frozen=True)
class Version:
    """One version, as code.

    Attributes:
        name: unique among the versions, and its name in a report.
        subject: expression for the module or the function.
        module: the version is a module; otherwise it is a function of x.
        calls: the file defines `call`, which calls the module.
        facts: the version in a few words.
    """

    name: str
    subject: str
    module: bool
    calls: bool
    facts: str

    @property
    def called(self) -> str:
        """Expression for its result."""
        if not self.module:
            return "f(x)"
        return "call(model, x)" if self.calls else "model(x)"

    @property
    def setup(self) -> str:
        """Lines that make the module or function, with separate flags and gradients."""
        if not self.module:
            return f"f = {self.subject}"
        return f"from gradbench.models import share\nmodel = share({self.subject})"

    def alternative(self, statement: str, holds: str, setup: str = "", source: str = "") -> Alternative:
        """The version as an alternative; `setup` follows the version's setup."""
        return Alternative(
            name=self.name,
            label=self.name,
            effect=self.facts,
            source=source,
            setup=self.setup + setup,
            statement=statement,
            holds=holds,
        )


def rows(
    title: str,
    versions: Sequence[Version],
    repeats: bool,
    x_requires_grad: bool,
    roundings: float,
) -> tuple[Workload, Workload, Workload]:
    """The evaluation, the recorded forward and the training step of versions, the baseline first.

    Args:
        title: the name of all versions together.
        repeats: in the mode that the files set, their losses are the same from call to call.
        x_requires_grad: recorded variants make x require gradients, also where the file does not.
        roundings: as in `Workload`.
    """
    facts = "; ".join(f"{each.name}: {each.facts}" for each in versions)
    recorded_x = _TRAINED_X if x_requires_grad else _RECORDED_X
    evaluation = Workload(
        name=VERSIONS,
        part=EVALUATION,
        title=f"{title}: evaluation under torch.no_grad()",
        shows=f"The price of an unrecorded forward of a version, in evaluation mode. {facts}.",
        leaf=_EVALUATED_X,
        own_buffer="x = x.clone()",
        normwise=True,
        roundings=roundings,
        baseline=versions[0].name,
        alternatives=tuple(
            each.alternative(
                f"with torch.no_grad():\n    y = {each.called}",
                "not y.requires_grad",
                ".eval()" if each.module else "",
                "https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html",
            )
            for each in versions
        ),
    )
    recorded = replace(
        evaluation,
        part=RECORDED,
        title=f"{title}: recorded forward",
        shows="The time of a recorded forward, and the memory that it keeps for a backward, in the mode "
        "that the "
        "file leaves the module in.",
        leaf=recorded_x,
        # Dropout gives another result at each call. The evaluation compares the results of versions.
        result="y.isfinite().all()",
        alternatives=tuple(each.alternative(f"y = {each.called}", "y.requires_grad") for each in versions),
    )
    step = replace(
        recorded,
        part=STEP,
        title=f"{title}: training step",
        shows="The price of forward, loss, backward and clearing of the gradients, without an optimizer.",
        timeline=True,
        result="value" if repeats else "value.isfinite()",
        alternatives=tuple(_step(each) for each in versions),
    )
    return evaluation, recorded, step


def _step(version: Version) -> Alternative:
    forward = f"y = {version.called}\nvalue = loss(y)\nvalue.backward()"
    setup = ""
    if version.module:
        cleared = "model.zero_grad()\nx.grad = None"
        holds = "x.grad is None and all(parameter.grad is None for parameter in model.parameters())"
    else:
        # Only the graph shows to which tensors a function gives gradients.
        setup = "\nfrom gradbench.models import leaves_of\nleaves = leaves_of(loss(f(x)))"
        cleared = "for leaf in leaves:\n    leaf.grad = None"
        holds = "all(leaf.grad is None for leaf in leaves)"
    return version.alternative(f"{forward}\n{cleared}", holds, setup)
