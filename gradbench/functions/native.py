"""The kernels of native.c: the system's compiler builds them on demand, and the user's cache keeps them.

The
key of a build is its source, command, compiler and processor. It is loaded only where its bytes match the
hash in its name. Any failure means that there are no kernels, and raises no error.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Kernel = Callable[..., None]

_SOURCE = Path(__file__).with_name("native.c")
_COMPILERS = ("cc", "gcc", "clang")
# Without errno and traps the loops become vector loops; neither changes a result.
_FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
# Not every compiler knows OpenMP, and some take the processor by another option.
_ATTEMPTS = (("-march=native", "-fopenmp"), ("-march=native",), ("-mcpu=native",), ())
# Seconds for a build, which takes less than one. A compiler that hangs must not hang its caller.
_PATIENCE = 60.0


class Kernels:
    """The loaded library. Every argument but the last two is the address of contiguous elements.

    Attributes:
        value: by bytes of an element, (x, y, elements, threads): y = exp(sin(x²)).
        gradient: by bytes of an element, (x, y, g, d, elements, threads): d = g·y·cos(x²)·2x.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file is no library, AttributeError where it lacks a kernel."""
        library = ctypes.CDLL(str(path))
        self.value: dict[int, Kernel] = {}
        self.gradient: dict[int, Kernel] = {}
        for width, kind in ((4, "f32"), (8, "f64")):
            self.value[width] = self._kernel(library, f"value_{kind}", 2)
            self.gradient[width] = self._kernel(library, f"gradient_{kind}", 4)

    @staticmethod
    def _kernel(library: ctypes.CDLL, name: str, addresses: int) -> Kernel:
        kernel = library[name]
        kernel.argtypes = (*(ctypes.c_void_p,) * addresses, ctypes.c_int64, ctypes.c_int)
        kernel.restype = None
        return kernel


@functools.cache
def kernels() -> Kernels | None:
    """The kernels for this processor, built where they are not in the cache; None where that is impossible.

    Asked once in a process. The first time on a machine it takes about a second.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None or os.name != "posix":
        return None
    try:
        key = _key(compiler)
    except OSError:
        return None
    for path in _cached(key):
        try:
            return Kernels(path)
        except (OSError, AttributeError):
            continue
    return _build(compiler, key)


def _build(compiler: str, key: str) -> Kernels | None:
    """Build, load, and put the build into the cache where the cache is writable."""
    with tempfile.TemporaryDirectory(prefix="gradbench-") as folder:
        built = Path(folder, "native.so")
        for attempt in _ATTEMPTS:
            command = (compiler, *_FLAGS, *attempt, "-o", str(built), str(_SOURCE), "-lm")
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE)
                loaded = Kernels(built)
            except (OSError, AttributeError, subprocess.SubprocessError):
                continue
            _keep(built, key)
            return loaded
    return None


def _key(compiler: str) -> str:
    """The hash of everything that a build depends on, in 32 hexadecimal digits."""
    actual = Path(compiler).resolve()
    status = actual.stat()
    made_by = (str(actual), status.st_size, status.st_mtime_ns, _FLAGS, _ATTEMPTS)
    made_for = (sys.platform, platform.machine(), _processor())
    return hashlib.sha256(_SOURCE.read_bytes() + repr((made_by, made_for)).encode()).hexdigest()[:32]


def _processor() -> list[str]:
    """The name of the processor and its instructions, as far as the system reports them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return [platform.processor()]
    told = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return sorted({line for line in lines if line.startswith(told)})


def _folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    home = Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser()
    return (Path(named) if named else home) / "gradbench"


def _cached(key: str) -> Iterator[Path]:
    """The complete builds of this key. Loading a build that is cut off may end the process."""
    for path in _folder().glob(f"native-{key}-*.so"):
        try:
            whole = path.name == _name(key, path)
        except OSError:
            continue
        if whole:
            yield path


def _keep(built: Path, key: str) -> None:
    """Put a build into the cache atomically. Where that fails, other processes build again."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="native-", dir=folder) as near:
            copy = Path(shutil.copy2(built, near))
            copy.replace(folder / _name(key, built))
    except OSError:
        return


def _name(key: str, path: Path) -> str:
    return f"native-{key}-{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}.so"
