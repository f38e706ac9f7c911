"""Several files of the user in one process, each with the names, modules and settings that it has alone.

Two files may both import a module `parts` from beside them, and mean two modules. Python keeps one module by
a name. So a namespace puts the modules of a file in place before its code runs, and takes them away before
code of another file runs. Installed modules are shared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch

from gradbench.measure.variant import READ_OF_FILE, execute

# Names of the folders in which pip and the system install.
_INSTALLED = ("site-packages", "dist-packages")


def _set_device(device: torch.device) -> None:
    # None removes the price per call of a default device other than the CPU.
    torch.set_default_device(None if device.type == "cpu" else device)


def _set_deterministic(modes: tuple[bool, bool]) -> None:
    on, warns = modes
    torch.use_deterministic_algorithms(on, warn_only=warns)


def _set_anomaly(modes: tuple[bool, bool]) -> None:
    on, checks = modes
    torch.autograd.set_detect_anomaly(on, checks)


class _Setting(NamedTuple):
    """A setting of torch: how it is read, and how it is set."""

    read: Callable[[], Any]
    set: Callable[[Any], object]

    def now(self) -> Any:
        """Its value; None where torch has none, as after a mix of its two interfaces."""
        try:
            return self.read()
        except (AttributeError, RuntimeError):
            return None


def _attribute(owner: str, name: str) -> _Setting:
    """A setting that is an attribute of an object in `torch.backends`."""
    find = attrgetter(f"{owner}.{name}" if owner else name)

    def set_(value: Any) -> None:
        setattr(attrgetter(owner)(torch.backends) if owner else torch.backends, name, value)

    return _Setting(lambda: find(torch.backends), set_)


def _switch(read: str, set_: str) -> _Setting:
    """A setting with two functions in `torch.backends.cuda`."""
    return _Setting(
        lambda: getattr(torch.backends.cuda, read)(),
        lambda value: getattr(torch.backends.cuda, set_)(value),
    )


# Settings of torch that a file may change, as far as the release has them. Two interfaces read and set the
# precision of float32. The older one also changes other settings, so it comes first.
_ALL = (
    _Setting(torch.get_default_dtype, torch.set_default_dtype),
    _Setting(torch.get_default_device, _set_device),
    _Setting(
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _set_deterministic,
    ),
    _Setting(lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()), _set_anomaly),
    _Setting(
        lambda: torch.backends.mha.get_fastpath_enabled(),
        lambda value: torch.backends.mha.set_fastpath_enabled(value),
    ),
    _switch("flash_sdp_enabled", "enable_flash_sdp"),
    _switch("mem_efficient_sdp_enabled", "enable_mem_efficient_sdp"),
    _switch("math_sdp_enabled", "enable_math_sdp"),
    _switch("cudnn_sdp_enabled", "enable_cudnn_sdp"),
    _switch("fp16_bf16_reduction_math_sdp_allowed", "allow_fp16_bf16_reduction_math_sdp"),
    _attribute("mkldnn", "enabled"),
    _attribute("mkldnn", "deterministic"),
    _attribute("cudnn", "enabled"),
    _attribute("cudnn", "benchmark"),
    _attribute("cudnn", "deterministic"),
    _attribute("cuda.matmul", "allow_fp16_reduced_precision_reduction"),
    _attribute("cuda.matmul", "allow_bf16_reduced_precision_reduction"),
    _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _attribute("cuda.matmul", "allow_tf32"),
    _attribute("cudnn", "allow_tf32"),
    _attribute("mkldnn", "allow_tf32"),
    _attribute("", "fp32_precision"),
    *(_attribute(owner, "fp32_precision") for owner in ("cuda.matmul", "cudnn", "mkldnn")),
    *(_attribute(f"cudnn.{each}", "fp32_precision") for each in ("conv", "rnn")),
    *(_attribute(f"mkldnn.{each}", "fp32_precision") for each in ("matmul", "conv", "rnn")),
)
_SETTINGS = tuple(each for each in _ALL if each.now() is not None)


class Namespace:
    """One file: its names, and the modules and settings that its code needs.

    Attributes:
        names: the names that it defines for gradbench to read.
    """

    def __init__(self, owner: Namespaces, place: str) -> None:
        self.names: dict[str, Any] = {}
        self.place = place
        self.modules: dict[str, ModuleType] = {}
        self.path = [os.path.dirname(place), *owner.path]  # noqa: PTH120
        self.settings = list(owner.settings)
        self._owner = owner

    def enter(self) -> None:
        """Put its modules and settings in place; quick where they are in place already."""
        self._owner.enter(self)


class Namespaces:
    """The files of one process.

    Attributes:
        path: `sys.path` without any file.
        settings: settings of torch without any file.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """Note the state of the process before any file; `places` has the path of each file by name."""
        self.path = list(sys.path)
        self.settings = [each.now() for each in _SETTINGS]
        self._places = places
        self._installed = {os.path.realpath(each) for each in sys.path}
        self._before = {name.partition(".")[0] for name in sys.modules}
        self._inside: Namespace | None = None
        self._count = 0

    def make(self, name: str) -> Namespace:
        """Make and enter the namespace of a file that has not run yet."""
        made = Namespace(self, self._places[name])
        made.enter()
        return made

    def load(self, name: str, text: str) -> Namespace:
        """Run a file. Its errors pass through."""
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
        """Restore the process to the state before any file, except for installed modules."""
        if self._inside is not None:
            self._take_away(self._inside)
            self._set(self.path, self.settings)
            self._inside = None

    def _set(self, path: list[str], settings: list[Any]) -> None:
        sys.path[:] = path
        for setting, value in zip(_SETTINGS, settings, strict=True):
            if value is not None and setting.now() != value:
                setting.set(value)

    def _take_away(self, namespace: Namespace) -> None:
        namespace.path = list(sys.path)
        namespace.settings = [each.now() for each in _SETTINGS]
        # A look at all modules is slow, and new modules are rare.
        if len(sys.modules) != self._count:
            tops = {name.partition(".")[0] for name in sys.modules} - self._before
            beside = {name for name in tops if name in sys.modules and self._is_beside(sys.modules[name])}
            namespace.modules = {
                name: module for name, module in sys.modules.items() if name.partition(".")[0] in beside
            }
        for name in namespace.modules:
            sys.modules.pop(name, None)

    def _is_beside(self, module: ModuleType) -> bool:
        """Whether a module comes from the folder of a file, or where a link leads, and is not installed."""
        spec = getattr(module, "__spec__", None)
        if spec is None:
            return False
        found = list(spec.submodule_search_locations or ([spec.origin] if spec.has_location else []))
        folders = [os.path.realpath(os.path.dirname(each)) for each in found]  # noqa: PTH120
        return bool(folders) and all(
            each not in self._installed and not any(part in _INSTALLED for part in Path(each).parts)
            for each in folders
        )
