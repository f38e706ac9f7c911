"""The storages that each module keeps for the backward, seen while a forward of the user's model runs once.

Hooks on the modules show which module is at work. A mode shows which function of torch is called. A hook on
saved tensors notes both, with the line of the user's code.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from msgspec.structs import replace
from torch.overrides import TorchFunctionMode, resolve_name

from gradbench.measure.execution import SavedTensor, storages_of
from gradbench.measure.threads import other_threads
from gradbench.measure.user_code import callers
from gradbench.record.anatomy import Kept


class Watched:
    """One forward, watched: fill it within `watching`, and ask `kept` while its result is held.

    Attributes:
        called: qualified names of the modules, in the order in which they were first called.
    """

    def __init__(self, model: torch.nn.Module, x: torch.Tensor, file: str) -> None:
        """Watch a model and its calls with x, for the author of a file."""
        self._model, self._x, self._file = model, x, file
        # By thread, the modules that are at work in it, the innermost last.
        self._working: dict[int, list[str]] = {}
        self._functions: dict[int, _Functions] = {}
        self._notes: list[tuple[weakref.ref[SavedTensor], Kept]] = []
        self.called: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the tensors that are saved within."""
        handles = []
        for name, module in self._model.named_modules():
            with contextlib.suppress(Exception):
                handles.append(module.register_forward_pre_hook(self._enter(name)))
                handles.append(module.register_forward_hook(self._leave, always_call=True))
        try:
            with other_threads(self._entered) as elsewhere, self._entered():
                yield
            elsewhere.settle()
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Switch modes and hooks on in this thread: they belong to a thread."""
        here, functions = threading.get_ident(), _Functions()
        self._functions[here] = functions
        with functions, torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack):
            yield

    def _enter(self, name: str) -> Callable[..., None]:
        def enter(module: torch.nn.Module, inputs: Any) -> None:
            self._working.setdefault(threading.get_ident(), []).append(name)
            if name not in self.called:
                self.called.append(name)

        return enter

    def _leave(self, module: torch.nn.Module, inputs: Any, result: Any) -> None:
        working = self._working.get(threading.get_ident())
        if working:
            working.pop()

    def _pack(self, tensor: torch.Tensor) -> SavedTensor:
        here = threading.get_ident()
        functions, working = self._functions.get(here), self._working.get(here)
        operator = functions.current if functions is not None else ""
        with torch._C.DisableTorchFunction():
            saved = SavedTensor.of(tensor)
            note = Kept(
                module=working[-1] if working else "",
                bytes=0,
                role="activation",
                operator=operator,
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                line=_line(self._file),
            )
        self._notes.append((weakref.ref(saved), note))
        return saved

    def forget(self) -> None:
        """Drop all that was watched."""
        self._notes.clear()
        self.called.clear()

    def kept(self) -> tuple[Kept, ...]:
        """The unique storages that the graph still keeps, in the order in which they were first saved."""
        roles = self._roles()
        trained = {
            name: any(each.requires_grad for each in module.parameters(recurse=False))
            for name, module in self._model.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        }
        found: dict[int, Kept] = {}
        also: dict[int, list[str]] = {}
        for alive, note in self._notes:
            saved = alive()
            for storage in () if saved is None else saved.storages:
                address = storage.data_ptr()
                if not storage.nbytes():
                    continue
                if address not in found:
                    role = roles.get(address, "activation")
                    passes_on = role == "activation" and trained.get(note.module) is False
                    found[address] = replace(note, bytes=storage.nbytes(), role=role, passes_on=passes_on)
                elif note.module != found[address].module and note.module not in also.get(address, []):
                    also.setdefault(address, []).append(note.module)
        return tuple(replace(each, also=tuple(also.get(address, ()))) for address, each in found.items())

    def _roles(self) -> dict[int, Literal["parameter", "buffer", "input"]]:
        """The role of storages that are alive without a graph, by their address."""
        roles: dict[int, Literal["parameter", "buffer", "input"]] = dict.fromkeys(
            _addresses(self._x), "input"
        )
        for each in self._model.buffers():
            roles |= dict.fromkeys(_addresses(each), "buffer")
        for each in self._model.parameters():
            roles |= dict.fromkeys(_addresses(each), "parameter")
        return roles


def _addresses(tensor: torch.Tensor) -> list[int]:
    return [each.data_ptr() for each in storages_of(tensor)]


def _unpack(saved: SavedTensor) -> torch.Tensor:
    with torch._C.DisableTorchFunction():
        return saved.unpack()


class _Functions(TorchFunctionMode):  # type: ignore[misc]
    """Knows which function of torch Python called last; empty before any, and in a backward."""

    def __init__(self) -> None:
        super().__init__()
        self.current = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, self.current = self.current, _name(func)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.current = before


def _name(func: Any) -> str:
    """The last part of a function's name, as users write it: `conv2d`, `relu`, `mul`."""
    full = ""
    with contextlib.suppress(Exception):
        full = resolve_name(func) or ""
    return (full or str(getattr(func, "__name__", ""))).rpartition(".")[2]


def _line(file: str) -> str:
    """The innermost executing line of the user's file, or of any file that is not torch's."""
    elsewhere = ""
    for name, line in callers(file):
        if name == file:
            return f"{Path(file).name}:{line}"
        # Code from a string is in no file.
        if not elsewhere and not name.startswith("<"):
            elsewhere = f"{Path(name).parent.name}/{Path(name).name}:{line}"
    return elsewhere
