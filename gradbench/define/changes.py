"""Changes of a user's training that may save memory, as code: freezing, recomputing, fewer samples."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradbench.record.anatomy import Change

RECOMPUTED = "the same gradients"


def span(modules: Sequence[str]) -> str:
    """Modules in the order of their calls, in words.

    >>> span(["conv1"]), span(["conv1", "bn1", "layer1"]), span(["0", "1"])
    ('conv1', 'conv1 to layer1', 'modules 0 to 1')
    """
    # A number alone does not say that it names a module.
    words = f"module{'s' if len(modules) > 1 else ''} " if modules[0].isdecimal() else ""
    return words + (modules[0] if len(modules) == 1 else f"{modules[0]} to {modules[-1]}")


def freeze(modules: Sequence[str], trained: Sequence[str]) -> Change:
    """Train only the modules `trained`, which come last; `modules` are those before, by order of calls."""
    return Change(
        name=f"freeze_to_{_identifier(modules[-1])}",
        label=f"freeze {span(modules)}",
        effect="not trained any more",
        # A parameter that is tied to one of these stays trained.
        code=(
            f"trained = [model.get_submodule(name) for name in {tuple(trained)!r}]\n"
            "trained = [each for module in trained for each in module.parameters() if each.requires_grad]\n"
            "model.requires_grad_(False)\n"
            "for parameter in trained:\n"
            "    parameter.requires_grad_(True)"
        ),
        modules=tuple(modules),
        trained=tuple(trained),
    )


def without_recording(modules: Sequence[str], trained: Sequence[str]) -> Change:
    """Run `modules`, the first that are called, under no_grad(); `trained` are the modules after them."""
    return Change(
        name=f"no_grad_to_{_identifier(modules[-1])}",
        label=f"no_grad() around {span(modules)}",
        effect="not trained any more",
        code=(
            f"for name in {tuple(modules)!r}:\n"
            "    block = model.get_submodule(name)\n"
            "    block.forward = torch.no_grad()(block.forward)"
        ),
        modules=tuple(modules),
        trained=tuple(trained),
    )


def recompute(modules: Sequence[str], every: bool) -> Change:
    """Checkpoint these modules: the backward computes their activations again.

    Source: https://docs.pytorch.org/docs/stable/checkpoint.html
    """
    name = f"{_identifier(modules[0])}_to_{_identifier(modules[-1])}" if every else _identifier(modules[0])
    return Change(
        name=f"checkpoint_{name}",
        label=f"checkpoint {span(modules)}{', one by one' if every else ''}",
        effect=RECOMPUTED,
        code=(
            "from functools import partial\n"
            "from torch.utils.checkpoint import checkpoint\n"
            f"for name in {tuple(modules)!r}:\n"
            "    block = model.get_submodule(name)\n"
            "    block.forward = partial(checkpoint, block.forward, use_reentrant=False)"
        ),
    )


def recompute_segments(container: str, segments: int) -> Change:
    """Checkpoint an nn.Sequential in this many segments; an empty name is the model itself."""
    return Change(
        name=f"checkpoint_{_identifier(container) or 'model'}_in_{segments}",
        label=f"checkpoint {container or 'the model'} in {segments} segments",
        effect=RECOMPUTED,
        code=(
            "from torch.utils.checkpoint import checkpoint_sequential\n"
            f"block = model.get_submodule({container!r})\n"
            "layers = list(block)\n"
            f"block.forward = lambda x: checkpoint_sequential(layers, {segments}, x, use_reentrant=False)"
        ),
    )


def fewer_samples(samples: int, of: int, tracked: bool = False) -> Change:
    """A step on the first samples of x; `tracked` says whether x requires gradients."""
    return Change(
        name=f"batch_{samples}",
        label=f"{samples:,} of the {of:,} samples in a step",
        effect="gradients of fewer samples",
        code=f"x = x[:{samples}]" + (".detach().requires_grad_()" if tracked else ""),
        same_loss=False,
    )


def _identifier(module: str) -> str:
    return re.sub(r"\W", "_", module)
