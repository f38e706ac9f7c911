"""Gradients that stay from call to call, which a call finds, and clears, replaces or adds to."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

# The search for tensors that may have gradients looks at this many objects, and this many of one container.
_MOST, _MOST_IN_ONE = 100_000, 10_000
_NO_HOLDERS = (str, bytes, int, float, complex, type, ModuleType, torch.dtype, torch.device)


class _Held(NamedTuple):
    """The version and the bytes of a gradient's storage."""

    version: int
    bytes: int


Storages = dict[StorageWeakRef, _Held]


class Gradients:
    """The gradients of all tensors within reach of an execution, on one device."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._leaves: list[weakref.ref[torch.Tensor]] = []

    def find(self, roots: Iterable[Any]) -> None:
        """Look for the tensors that may have gradients. Before this call there are none."""
        self._leaves = [weakref.ref(each) for each in _leaves(roots)]

    def now(self) -> Storages:
        """The storages of the gradients, by weak references."""
        found: Storages = {}
        for each in self._leaves:
            leaf = each()
            gradient = None if leaf is None else leaf.grad
            if gradient is None or gradient.layout != torch.strided or gradient.is_inference():
                continue
            if gradient.device != self._device:
                continue
            storage = gradient.untyped_storage()
            key = StorageWeakRef(storage)
            version = gradient._version + (found[key].version if key in found else 0)
            found[key] = _Held(version, storage.nbytes())
        return found


def standing(before: Storages, begin: Storages, done: Storages) -> int:
    """Bytes of the gradients that an earlier call has left to this one.

    Args:
        before: gradients before the setup of the call; gradients of the setup do not come from an earlier
            call.
        begin, done: gradients when the call began, and when it was done. Gradients that it only read are
            inputs.
    """
    return sum(
        begin[key].bytes
        for key in begin
        if key in before and (key not in done or done[key].version != begin[key].version)
    )


def _leaves(roots: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The leaf tensors that objects reach: in containers, in attributes, and by names in functions."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack and len(seen) < _MOST:
        value = stack.pop()
        if value is None or isinstance(value, _NO_HOLDERS) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            if value.is_leaf:
                yield value
        else:
            stack.extend(itertools.islice(_held_by(value), _MOST_IN_ONE))


def _held_by(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, MethodType):
        return value.__self__, value.__func__
    if isinstance(value, partial):
        return value.func, value.args, value.keywords
    if isinstance(value, FunctionType):
        return [] if value.__module__ and value.__module__.partition(".")[0] == "torch" else _named(value)
    try:
        return list(vars(value).values())
    except TypeError:
        return []


def _named(function: FunctionType) -> Iterator[Any]:
    """The objects that a function reads: its closure, its defaults and the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    yield function.__defaults__
    yield function.__kwdefaults__
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
