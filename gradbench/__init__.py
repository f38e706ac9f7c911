"""gradbench: what each way of controlling gradients in PyTorch costs, measured on your own machine.

    gradbench.compare({"a": f, "b": g})     functions in turns: times, ratios with intervals, bytes
    gradbench.bytes(f)                      the exact bytes of one call
    gradbench.model(module, x, loss)        a module's evaluation and training under each control
    gradbench.load("runs/...")              a results file, read

Importing this package imports neither torch nor other modules. It loads a name when code first uses it.
"""

# Type checkers know this name. An import of `typing` would take more time than the whole package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from gradbench.library.bytes import Bytes
    from gradbench.library.bytes import bytes as bytes
    from gradbench.library.compare import compare
    from gradbench.library.comparison import Comparison, Row
    from gradbench.library.model import model
    from gradbench.library.model_report import ModelReport, Training
    from gradbench.library.modules import Modules
    from gradbench.library.run import Run, load

__version__ = "0.1.0"

# The module of `gradbench.library` for each name.
_MODULES = {
    "Bytes": "bytes",
    "Comparison": "comparison",
    "ModelReport": "model_report",
    "Modules": "modules",
    "Row": "comparison",
    "Run": "run",
    "Training": "model_report",
    "bytes": "bytes",
    "compare": "compare",
    "load": "run",
    "model": "model",
}

# `bytes` is left out, since `from gradbench import *` would replace Python's `bytes`.
__all__ = [
    "Bytes",
    "Comparison",
    "ModelReport",
    "Modules",
    "Row",
    "Run",
    "Training",
    "compare",
    "load",
    "model",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.library.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
