"""The ways of a backward, as alternatives: the graph is released, or kept, or x alone gets a gradient."""

from __future__ import annotations

from gradbench.define.workloads.workload import Alternative

_DOCS = "https://docs.pytorch.org/docs/stable/generated/"


def backward(code: str, holds: str, group: str = "") -> Alternative:
    """A backward as it comes, by this code."""
    return Alternative(
        name="backward",
        label="backward()",
        effect="The graph is released on the way.",
        source=f"{_DOCS}torch.Tensor.backward.html",
        code=code,
        holds=holds,
        group=group,
    )


def retaining(code: str, holds: str, group: str = "") -> Alternative:
    """A backward that keeps its graph, by this code."""
    return Alternative(
        name="retain_graph",
        label="backward(retain_graph=True)",
        effect="The graph is kept for a second backward, and with it what was saved.",
        source=f"{_DOCS}torch.Tensor.backward.html",
        code=code,
        holds=holds,
        group=group,
    )


def input_gradient(label: str, effect: str, code: str) -> Alternative:
    """The gradient of x, returned as `gradient` by this code."""
    return Alternative(
        name="input_gradient",
        label=label,
        effect=effect,
        source=f"{_DOCS}torch.autograd.grad.html",
        code=code,
        holds="gradient.shape == x.shape",
    )
