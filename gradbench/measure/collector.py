"""What Python's collector is spared: it would walk all of torch each time, which takes 0.1 s and more."""

from __future__ import annotations

import gc
import sys

_modules = 0


def freeze_imported() -> None:
    """Keep the collector from what is there now: modules, and files of the user's, which a process keeps.

    Where nothing was imported since the last call, nothing is done.
    """
    global _modules
    if len(sys.modules) != _modules:
        gc.collect()
        gc.freeze()
        _modules = len(sys.modules)
