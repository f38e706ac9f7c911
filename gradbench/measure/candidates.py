"""Changes of a user's training that may save memory, from its modules and the storages that they keep."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradbench.define import changes
from gradbench.measure.training import Training
from gradbench.record.anatomy import Change, Kept

# The search enters a module with more than this part of all kept bytes.
_MAIN = 0.8
# To compute a segment of a sequence again pays from this many layers on.
_FEWEST_LAYERS = 4


def blocks_of(model: torch.nn.Module, kept: Sequence[Kept], called: Sequence[str]) -> list[str]:
    """The blocks of a model in the order of their calls: its children, and the children of the largest."""
    activations = [each for each in kept if each.role == "activation"]
    inside = ""
    found = _children(model, inside)
    while True:
        held = {name: sum(each.bytes for each in activations if within(each.module, name)) for name in found}
        inner = [name for name in found if within(name, inside)]
        main = max(inner, key=lambda name: held[name], default=None)
        if main is None or held[main] <= _MAIN * sum(held.values()):
            break
        children = _children(model, main)
        if not children:
            break
        at = found.index(main)
        found[at : at + 1] = children
        inside = main
    first = {name: place for place, name in reversed(list(enumerate(called)))}
    order = {
        name: min((place for each, place in first.items() if within(each, name)), default=None)
        for name in found
    }
    return sorted((name for name in found if order[name] is not None), key=lambda name: order[name] or 0)


def _children(model: torch.nn.Module, name: str) -> list[str]:
    return [f"{name}.{child}" if name else child for child, _ in model.get_submodule(name).named_children()]


def within(module: str, name: str) -> bool:
    """Whether a module is the one of this name, or inside it; the empty name holds all."""
    return not name or module == name or module.startswith(f"{name}.")


def candidates(
    training: Training, kept: Sequence[Kept], called: Sequence[str], weight: int, few: bool
) -> list[Change]:
    """Changes that may save memory, the largest first; none is checked yet.

    Args:
        kept, called: storages that the modules keep, and the order of the modules.
        weight: copies of a trained parameter that training holds beside it: its gradient, and moments.
        few: only the most important ones.
    """
    model, x = training.model, training.x
    blocks = blocks_of(model, kept, called)
    held = [
        sum(each.bytes for each in kept if each.role == "activation" and within(each.module, name))
        for name in blocks
    ]
    parameters = [list(model.get_submodule(name).parameters()) for name in blocks]
    trains = [any(each.requires_grad for each in own) for own in parameters]
    frees = [
        bytes_ + weight * sum(each.numel() * each.element_size() for each in own if each.requires_grad)
        for bytes_, own in zip(held, parameters, strict=True)
    ]
    # Freezing more modules has the same effect where no module in between is trained.
    last = max((place for place, trained in enumerate(trains) if trained), default=0)
    half = next((place for place in range(last) if sum(frees[: place + 1]) >= sum(frees) / 2), last) + 1
    first: list[Change] = []
    more: list[Change] = []
    if last > 0 and any(trains[:last]):
        first.append(changes.freeze(blocks[:last], blocks[last:]))
        more.append(changes.without_recording(blocks[:last], blocks[last:]))
    if half < last and any(trains[:half]) and any(trains[half:last]):
        more.insert(0, changes.freeze(blocks[:half], blocks[half:]))
    whole = [name for name in blocks if any(True for _ in model.get_submodule(name).children())]
    whole = [name for name in whole if held[blocks.index(name)]]
    if whole:
        largest = changes.recompute([max(whole, key=lambda name: held[blocks.index(name)])], every=False)
        first.append(changes.recompute(whole, every=True) if len(whole) > 1 else largest)
        more += [largest] if len(whole) > 1 else []
    else:
        container = blocks[0].rpartition(".")[0] if blocks else ""
        layers = model.get_submodule(container)
        if isinstance(layers, torch.nn.Sequential) and len(layers) >= _FEWEST_LAYERS:
            first.append(changes.recompute_segments(container, 2))
    samples = len(x) if x.dim() else 1
    if samples > 1:
        first.append(changes.fewer_samples(samples // 2, samples, x.requires_grad))
    return first if few else [*first, *more]
