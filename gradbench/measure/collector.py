"""Hides modules from Python's collector, which would walk all of torch each time, in 0.1 s or more."""

from __future__ import annotations

import gc
import sys

_modules = 0


def freeze_imported() -> None:
    """Hide all present objects from the collector: modules and the user's files, which a process keeps.

    It does nothing where no module was imported since the last call.
    """
    global _modules
    if len(sys.modules) != _modules:
        gc.collect()
        gc.freeze()
        _modules = len(sys.modules)
