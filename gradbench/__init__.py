"""gradbench: what each way of controlling gradients in PyTorch costs, measured on your own machine.

    gradbench.compare({"a": f, "b": g})     functions in turns: times, ratios with intervals, bytes
    gradbench.bytes(f)                      the exact bytes of one call
    gradbench.model(module, x, loss)        a module's evaluation and training under each control
    gradbench.load("runs/...")              a results file, read

Importing this package imports neither torch nor anything else: what it offers is loaded when it is asked for.
"""

# Type checkers know the name; the module `typing` would cost more than all of this.
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

# Where in `gradbench.library` each name is.
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

# Without `bytes`, which `from gradbench import *` would put in the place of Python's.
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
