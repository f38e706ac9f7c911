"""Several files of the user's in one process, each with the names, modules and settings that it has alone.

Two files may each import a module `parts` from beside them, and mean two modules. Python keeps one module by
a name, so the modules of a file are put in place before anything of the file runs, and taken away before
anything of another one runs. What is installed is shared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from gradbench.measure.variant import READ_OF_FILE, execute

# Folders of what pip and the system install, wherever they lie.
_INSTALLED = ("site-packages", "dist-packages")


def _set_device(device: torch.device) -> None:
    # None takes away what a device other than the CPU costs each call.
    torch.set_default_device(None if device.type == "cpu" else device)


# Settings of torch that a file may make for itself: how each is read, and how it is set.
_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_device),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
)


class Namespace:
    """One file: what it defines, and what must be in place while anything of it runs.

    Attributes:
        names: what it defines for gradbench to read.
    """

    def __init__(self, owner: Namespaces, place: str) -> None:
        self.names: dict[str, Any] = {}
        self.place = place
        self.modules: dict[str, ModuleType] = {}
        self.path = [os.path.dirname(place), *owner.path]  # noqa: PTH120
        self.settings = list(owner.settings)
        self._owner = owner

    def enter(self) -> None:
        """Put its modules and settings in place; quick where they are."""
        self._owner.enter(self)


class Namespaces:
    """The files of one process.

    Attributes:
        path: `sys.path` without any of them.
        settings: of torch, without any of them.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Take note of the process as it is before any file; `places` says by name where each file stands."""
        self.path = list(sys.path)
        self.settings = [read() for read, _ in _SETTINGS]
        self._places = places
        self._installed = {os.path.realpath(each) for each in sys.path}
        self._before = {name.partition(".")[0] for name in sys.modules}
        self._inside: Namespace | None = None
        self._count = 0

    def make(self, name: str) -> Namespace:
        """The namespace of a file that has not run yet; it is entered."""
        made = Namespace(self, self._places[name])
        made.enter()
        return made

    def load(self, name: str, text: str) -> Namespace:
        """Run a file. Raises what it raises."""
        made = self.make(name)
        names = execute(text, made.place, made.place)
        made.names = {name: value for name, value in names.items() if name in READ_OF_FILE}
        return made

    def enter(self, namespace: Namespace) -> None:
        """Put the modules and settings of a namespace in place, and take away those of another."""
        if self._inside is namespace:
            return
        if self._inside is not None:
            self._take_away(self._inside)
        sys.modules.update(namespace.modules)
        self._set(namespace.path, namespace.settings)
        self._inside, self._count = namespace, len(sys.modules)

    def leave(self) -> None:
        """Put the process back as it was before any file, but for what is installed and was imported."""
        if self._inside is not None:
            self._take_away(self._inside)
            self._set(self.path, self.settings)
            self._inside = None

    def _set(self, path: list[str], settings: list[Any]) -> None:
        sys.path[:] = path
        for (read, set_), value in zip(_SETTINGS, settings, strict=True):
            if read() != value:
                set_(value)

    def _take_away(self, namespace: Namespace) -> None:
        namespace.path = list(sys.path)
        namespace.settings = [read() for read, _ in _SETTINGS]
        # It is slow to look at all modules, and rare that there are new ones.
        if len(sys.modules) != self._count:
            tops = {name.partition(".")[0] for name in sys.modules} - self._before
            beside = {name for name in tops if name in sys.modules and self._is_beside(sys.modules[name])}
            namespace.modules = {
                name: module for name, module in sys.modules.items() if name.partition(".")[0] in beside
            }
        for name in namespace.modules:
            sys.modules.pop(name, None)

    def _is_beside(self, module: ModuleType) -> bool:
        """Whether a module is found from where a file stands, or where it leads, and is not installed."""
        spec = getattr(module, "__spec__", None)
        if spec is None:
            return False
        found = list(spec.submodule_search_locations or ([spec.origin] if spec.has_location else []))
        folders = [os.path.realpath(os.path.dirname(each)) for each in found]  # noqa: PTH120
        return bool(folders) and all(
            each not in self._installed and not any(part in _INSTALLED for part in Path(each).parts)
            for each in folders
        )
