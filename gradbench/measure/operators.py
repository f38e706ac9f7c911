"""The names of the operators that a piece of work has torch dispatch."""

from __future__ import annotations

import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Operators(TorchDispatchMode):  # type: ignore[misc]
    """Notes what is dispatched, but for views, which compute nothing, and `detach`, which recording adds.

    Attributes:
        names: such as `aten.addmm`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to keep the compiler out of it torch would import all of it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not getattr(func, "is_view", False):
            self.names.add(str(func).removesuffix(".default"))
        return func(*args, **(kwargs or {}))


def can_watch(called: bool) -> bool:
    """Whether work may be watched: under a mode what is compiled would run uncompiled.

    Before it was `called` nothing shows whether it compiles, so that the compiler must not be there at all.
    """
    if "torch._dynamo" not in sys.modules:
        return True
    dynamo = sys.modules.get("torch._dynamo.utils")
    return called and not (dynamo is not None and dynamo.counters["frames"])
