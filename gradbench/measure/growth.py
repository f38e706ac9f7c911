"""What calls of a user's code leave behind, one after the other: how much, what holds it, and where."""

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

# From the tensor that is left to the name that holds it, there are at most so many containers.
_DEPTH = 5
# Of a call, `measure_call` counts so many that have to be equal.
_COUNTED = 2
# Where they are not equal, so many are seen to leave something.
_CALLS = 3
# What holds no more elements than these, such as the latest losses, is meant to.
_FEW = 100
# Calls that change one of these hold what they are given.
_HOLDING = frozenset({"append", "add", "extend", "insert", "setdefault", "update", "appendleft", "put"})


def growth(
    call: Callable[[], object], what: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """What a call leaves live when its result is let go of; None where it leaves nothing.

    Args:
        call: executed some times; it has been called before.
        what: the call in a sentence, such as "evaluation".
        names: what the file defines.
        file, text: of the user.
    """

    def unheld() -> None:
        call()

    try:
        counted, _ = measure_call(unheld)
    except Unrepeatable:
        # Where each call copies what it has held so far, no two calls do the same to memory.
        return _more_each_time(unheld, what, names, file, text)
    left = counted.left
    if counted.cycles > 0 and left <= 0:
        return Fault(
            "cycle",
            f"each {what} leaves {format.size(counted.cycles)} in what holds itself until Python's collector "
            "runs: look for a result that its own graph holds, such as `ctx.y = y`; use "
            "ctx.save_for_backward(y)",
            bytes=counted.cycles,
        )
    if left <= 0:
        return None
    tensors = _left_by(unheld)
    if not tensors:
        # Reachable by nothing of Python's: in a graph that holds itself, as by `ctx.y = y`.
        return Fault(
            "grows",
            f"each of {_COUNTED} {what}s in a row leaves {format.size(left)}, and no name of Python "
            "holds it: look for a graph that holds its own result, such as `ctx.y = y`; use "
            "ctx.save_for_backward(y)",
            bytes=left,
        )
    return _held(tensors, left, f"each of {_COUNTED} {what}s in a row leaves", names, file, text)


def _more_each_time(
    call: Callable[[], None], what: str, names: dict[str, Any], file: str, text: str
) -> Fault | None:
    """What is live in more bytes after each of a few calls; None where one of them adds nothing."""
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
    """The fault of tensors that are left, `words` before their bytes; None where few are ever held."""
    name, owner, most = _holder(tensors, names)
    if most is not None and most <= _FEW:
        return None
    line = _line_that_fills(text, name, file)
    recorded = any(each.grad_fn is not None for each in tensors)
    held = f"`{owner}` holds it" if owner else "something beside the file holds it"
    if most is not None:
        held += f", {most:,} at most"
    advice = "keep value.item() or value.detach(), since the graph is held with it, and " if recorded else ""
    advice += "clear what is read no more"
    return Fault("grows", f"{words} {format.size(left)}: {held}; {advice}", line, left)


def _live_bytes() -> int:
    """Bytes of the storages of all tensors that Python knows."""
    gc.collect()
    return storage_bytes(_tensors())


def _left_by(call: Callable[[], None]) -> list[torch.Tensor]:
    """The tensors that were not there before a call, and are after it and after another one.

    Where none is, as of a bank that each call copies, those of the first call.
    """
    gc.collect()
    before = {id(each) for each in _tensors()}
    call()
    gc.collect()
    made = [weakref.ref(each) for each in _tensors() if id(each) not in before]
    # What the next call puts another in the place of, as a running loss, was no growth.
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
    """A name of the file whose graph is longer after each call, as a running loss has it; None without one.

    The arguments are those of `growth`. A backward frees what the graph has saved, and not the graph.
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


# A graph is not walked any further.
_MOST_NODES = 100_000


def _nodes(value: torch.Tensor) -> int:
    """The nodes of a tensor's graph."""
    waiting, found = [value.grad_fn], {value.grad_fn}
    while waiting and len(found) < _MOST_NODES:
        node = waiting.pop()
        for following, _ in () if node is None else node.next_functions:
            if following is not None and following not in found:
                found.add(following)
                waiting.append(following)
    return len(found)


def _tensors() -> Iterator[torch.Tensor]:
    return _objects(torch.Tensor)


_Object = TypeVar("_Object")


def _objects(kind: type[_Object]) -> Iterator[_Object]:
    """All live objects of a type that the collector knows."""
    for each in gc.get_objects():
        # Not isinstance: a proxy would be made to work for its answer.
        if issubclass(type(each), kind):
            yield each


def _holder(tensors: list[torch.Tensor], names: dict[str, Any]) -> tuple[str, str, int | None]:
    """The name that holds the tensors, and the same with what it belongs to; empty where none is found.

    With it how many elements it holds at most, where it is a deque of a `maxlen`.
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
    """The first line inside a function that adds to what has this name; empty where none is found."""
    if not name:
        return ""
    lines: list[int] = []
    first: list[int] = []
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            filling = [node for node in ast.walk(function) if _fills(node, name)]
            found = [node.lineno for node in filling if isinstance(node, ast.expr | ast.stmt)]
            # A constructor makes what later calls fill; functions inside it are met by themselves.
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
