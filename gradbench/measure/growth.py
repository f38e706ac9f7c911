"""Tensors that calls of a user's code leave behind: how many bytes, their holder, and the line."""

from __future__ import annotations

import ast
import gc
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TypeVar

import torch

from gradbench import format
from gradbench.measure.execution import storage_bytes
from gradbench.measure.memory import Unrepeatable, measure_call
from gradbench.record.user_file import Fault

# At most this many containers lie between a tensor that is left and the name that holds it.
_DEPTH = 5
# `measure_call` counts this many executions of a call, which have to be equal.
_COUNTED = 2
# Where they are not equal, this many calls must leave bytes.
_CALLS = 3
# A container with a limit of at most this many elements, such as the latest losses, is intended.
_FEW = 100
# Calls of these methods store their argument in the object.
_HOLDING = frozenset({"append", "add", "extend", "insert", "setdefault", "update", "appendleft", "put"})


def growth(
    call: Callable[[], object], what: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """The fault of bytes that a call leaves live after its result is released; None where it leaves none.

    Args:
        call: executed some times; it has been called before.
        what: the call in a sentence, such as "evaluation".
        names: the names that the file defines.
        file, text: path and text of the user's file.
    """

    def unheld() -> None:
        call()

    try:
        counted, _ = measure_call(unheld)
    except Unrepeatable:
        # A call that copies everything that it has held so far differs from call to call.
        return _more_each_time(unheld, what, names, file, text)
    left = counted.left
    if counted.cycles > 0 and left <= 0:
        return Fault(
            "cycle",
            f"each {what} leaves {format.size(counted.cycles)} in objects that refer to "
            "themselves, until Python's collector runs; look for a result that its own graph holds, "
            "such as `ctx.y = y`; use "
            "ctx.save_for_backward(y)",
            bytes=counted.cycles,
        )
    if left <= 0:
        return None
    tensors = _left_by(unheld)
    if not tensors:
        # No Python object reaches it: it is in a graph that holds itself, as by `ctx.y = y`.
        return Fault(
            "grows",
            f"each of {_COUNTED} {what}s in a row leaves {format.size(left)}, and no name of Python "
            "holds it; look for a graph that holds its own result, such as `ctx.y = y`; use "
            "ctx.save_for_backward(y)",
            bytes=left,
        )
    return _held(tensors, left, f"each of {_COUNTED} {what}s in a row leaves", names, file, text)


def _more_each_time(
    call: Callable[[], None], what: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """The fault where live bytes grow with each of a few calls; None where one call adds nothing."""
    live = [_live_bytes()]
    for _ in range(_CALLS):
        call()
        live.append(_live_bytes())
    added = [after - before for before, after in pairwise(live)]
    if min(added) <= 0:
        return None
    words = f"each of {_CALLS} {what}s in a row leaves"
    if len(set(added)) > 1:
        words += " some bytes, the last"
    return _held(_left_by(call), added[-1], words, names, file, text)


def _held(
    tensors: list[torch.Tensor], left: int, words: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """The fault of tensors that stay, with `words` before the bytes; None where a limit keeps them few."""
    name, owner, most = _holder(tensors, names)
    if most is not None and most <= _FEW:
        return None
    line = _line_that_fills(text, name, file)
    recorded = any(each.grad_fn is not None for each in tensors)
    graph = _of_graph(tensors) if recorded else ""
    it = "them" if graph else "it"
    held = f"`{owner}` holds {it}" if owner else f"an object outside the file holds {it}"
    if most is not None:
        held += f", {most:,} at most"
    advice = "keep value.item() or value.detach(), since the graph is held with it, and " if recorded else ""
    advice += "clear entries that no code reads again"
    return Fault("grows", f"{words} {format.size(left)}{graph}: {held}; {advice}", line, left)


def _of_graph(tensors: list[torch.Tensor]) -> str:
    """A clause on the graph that stays with tensors, whose nodes are no bytes of tensors."""
    nodes = {node for each in tensors for node in _graph(each) if _is_made(node)}
    if not nodes:
        return ""
    more = "at least " if len(nodes) >= _MOST_NODES else ""
    return (
        f" and a graph of {more}{format.counted(len(nodes), 'node')}, which gradbench does not count as bytes"
    )


def _is_made(node: object) -> bool:
    """Whether a call makes this node: the node of a leaf stays with its parameter."""
    return node is not None and not hasattr(node, "variable")


def _live_bytes() -> int:
    """Bytes of the storages of all tensors that Python knows."""
    gc.collect()
    return storage_bytes(_tensors())


def _left_by(call: Callable[[], None]) -> list[torch.Tensor]:
    """The tensors that are new after a call, and still there after another call.

    Where there are none, such as in a bank that every call copies, the new tensors of the first call.
    """
    gc.collect()
    before = {id(each) for each in _tensors()}
    call()
    gc.collect()
    made = [weakref.ref(each) for each in _tensors() if id(each) not in before]
    # A tensor that the next call replaces, such as a running loss, is no growth.
    call()
    gc.collect()
    stayed = [each for reference in made if (each := reference()) is not None]
    if stayed or not made:
        return stayed
    before = {id(each) for each in _tensors()}
    call()
    return [each for each in _tensors() if id(each) not in before]


def running_graph(
    call: Callable[[], object], what: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """The fault of a name of the file whose graph grows with each call, such as a running loss; None without
    one.

    The arguments are those of `growth`. A backward frees the saved tensors of the graph, and not the graph.
    """
    lengths = []
    for _ in range(2):
        call()
        lengths.append({name: _nodes(value) for name, value in names.items() if _recorded(value)})
    for name, length in lengths[1].items():
        more = length - lengths[0].get(name, length)
        if more > 0:
            return Fault(
                "running graph",
                f"`{name}` keeps the graph of each {what}: {more:,} nodes more at each, and without a "
                "backward all that they have saved; add value.item() or value.detach() to it",
                _line_that_fills(text, name, file),
            )
    return None


def _recorded(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.grad_fn is not None


# The walk of a graph ends after this many nodes.
_MOST_NODES = 100_000


def _nodes(value: torch.Tensor) -> int:
    """The number of nodes of a tensor's graph."""
    return len(_graph(value))


def _graph(value: torch.Tensor) -> set[Any]:
    """The nodes of a tensor's graph; the nodes of leaves, which have a `variable`, are among them."""
    waiting, found = [value.grad_fn], {value.grad_fn}
    while waiting and len(found) < _MOST_NODES:
        node = waiting.pop()
        for following, _ in () if node is None else node.next_functions:
            if following is not None and following not in found:
                found.add(following)
                waiting.append(following)
    return found


def _tensors() -> Iterator[torch.Tensor]:
    return _objects(torch.Tensor)


_Object = TypeVar("_Object")


def _objects(kind: type[_Object]) -> Iterator[_Object]:
    """All live objects of a type that the collector knows."""
    for each in gc.get_objects():
        # isinstance would make a proxy compute its answer.
        if issubclass(type(each), kind):
            yield each


def _holder(tensors: list[torch.Tensor], names: dict[str, Any]) -> tuple[str, str, int | None]:
    """The name that holds the tensors, and the same name with its owner; empty where none is found.

    The third value is the largest number of its elements, where it is a deque with a `maxlen`.
    """
    modules = {
        id(part): each for each in _objects(torch.nn.Module) for part in (vars(each), vars(each)["_buffers"])
    }
    most: int | None = None
    ours = {id(tensors), id(sys._getframe())}
    level: list[Any] = list(tensors)
    seen = {id(each) for each in level} | ours | {id(level)}
    for _ in range(_DEPTH):
        above: list[Any] = []
        ours.add(id(above))
        for held in level:
            for owner in gc.get_referrers(held):
                if isinstance(owner, FrameType | ModuleType) or id(owner) in seen or owner is level:
                    continue
                if id(owner) in ours:
                    continue
                seen.add(id(owner))
                if isinstance(owner, deque) and owner.maxlen is not None:
                    most = owner.maxlen
                if isinstance(owner, dict):
                    key = next((key for key, value in owner.items() if value is held), None)
                    if isinstance(key, str) and owner is not names and id(owner) in modules:
                        return key, f"{type(modules[id(owner)]).__name__}.{key}", most
                    if isinstance(key, str) and key in names and names[key] is held:
                        return key, key, most
                above.append(owner)
        level = above
        seen.add(id(level))
    return "", "", most


def _line_that_fills(text: str, name: str, file: str) -> str:
    """The first line inside a function that adds to the object of this name; empty where none is found."""
    if not name:
        return ""
    lines: list[int] = []
    first: list[int] = []
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            filling = [node for node in ast.walk(function) if _fills(node, name)]
            found = [node.lineno for node in filling if isinstance(node, ast.expr | ast.stmt)]
            # A constructor makes objects that later calls fill. The walk visits functions inside it
            # separately.
            begins = isinstance(function, ast.FunctionDef) and function.name == "__init__"
            (first if begins else lines).extend(found)
    return f"{Path(file).name}:{min(lines or first)}" if lines or first else ""


def _fills(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in _HOLDING and any(_names(part, name) for part in ast.walk(node))
    if isinstance(node, ast.AugAssign):
        return any(_names(part, name) for part in ast.walk(node.target))
    if isinstance(node, ast.Assign):
        return any(_names(part, name) for target in node.targets for part in ast.walk(target))
    return False


def _names(node: ast.AST, name: str) -> bool:
    return (
        (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
        or (isinstance(node, ast.Constant) and node.value == name)
    )
