"""The operators that a piece of work dispatches, and whether they may be watched."""

from __future__ import annotations

import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


def compiles() -> bool:
    """Whether something was compiled in this process: under a dispatch mode it would run uncompiled."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    return dynamo is not None and bool(dynamo.counters["frames"])


def can_watch(called: bool) -> bool:
    """Whether work may be watched under a mode.

    Before the work was `called` it is unknown whether it compiles, so the compiler must not be imported at
    all.
    """
    return "torch._dynamo" not in sys.modules or (called and not compiles())


class DispatchMode(TorchDispatchMode):  # type: ignore[misc]
    """A mode that works without the compiler."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No. To keep the compiler out torch would import the whole compiler, which takes a second."""
        return False


class Operators(DispatchMode):
    """Notes what is dispatched, but for views, which compute nothing, and `detach`, which recording adds.

    Attributes:
        names: such as `aten.addmm`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not getattr(func, "is_view", False):
            self.names.add(str(func).removesuffix(".default"))
        return func(*args, **(kwargs or {}))
