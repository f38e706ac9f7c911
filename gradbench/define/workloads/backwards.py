"""Three kinds of backward, as alternatives: it releases the graph, or keeps it, or only x gets a gradient."""

from __future__ import annotations

from gradbench.define.workloads.workload import Alternative

_DOCS = "https://docs.pytorch.org/docs/stable/generated/"


def backward(code: str, holds: str, group: str = "") -> Alternative:
    """A backward with its defaults, by this code."""
    return Alternative(
        name="backward",
        label="backward()",
        effect="The backward releases the graph.",
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
        effect="The graph and its saved tensors stay for a second backward.",
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
