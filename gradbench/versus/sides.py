"""The sides of a trial: interpreters that are there, or sources that get an environment of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gradbench.errors import RequestError


@dataclass(frozen=True)
class Side:
    """An interpreter to measure with, and how a report calls it: without the folders that it lies in.

    Attributes:
        sources: the folder that it imports from before all else; empty for an interpreter as it is.
    """

    label: str
    python: str
    sources: str = ""


@contextlib.contextmanager
def open_sides(one: str, other: str) -> Iterator[tuple[Side, Side]]:
    """The sides that two words mean; environments that had to be made are gone afterwards.

    A word is an interpreter (a path, or a name on PATH that begins with python or pypy), the folder of a
    virtual environment, a folder of sources, or a git revision of the repository that the user stands in.
    Sources, of a folder or of a revision, are put before everything else that this interpreter imports, in
    an environment of their own: both sides then differ in these sources alone.

    Raises RequestError for a word that is none of these.
    """
    with TemporaryDirectory(prefix="gradbench-versus-") as folder:
        sides = []
        for name, word in (("a", one), ("b", other)):
            python = _interpreter(word)
            if python is not None:
                sides.append(Side(_environment_name(word), python))
                continue
            sources, label = _sources(word, Path(folder) / f"sources-{name}")
            python = _environment(Path(folder) / f"environment-{name}", sources)
            sides.append(Side(label, python, str(sources)))
        yield sides[0], sides[1]


def _interpreter(word: str) -> str | None:
    """The interpreter that a word means; None where it means none."""
    path = Path(word)
    for inside in ("bin/python", "Scripts/python.exe"):
        if (path / inside).is_file():
            return str((path / inside).absolute())
    if path.is_file():
        if not os.access(path, os.X_OK):
            raise RequestError(
                f"{word}: expected a Python interpreter; this file cannot be executed; name the python "
                "of an environment, such as .venv/bin/python"
            )
        # Not resolved: an environment's interpreter is a link, and knows its environment by the link's name.
        return str(path.absolute())
    # Other names may be a program as well as a revision: HEAD is one of both.
    return shutil.which(word) if word.startswith(("python", "pypy")) and not path.is_dir() else None


def _environment_name(word: str) -> str:
    """The name of an interpreter's environment; of one that has none, its own.

    >>> _environment_name("/home/me/old/bin/python"), _environment_name("python3.12")
    ('old', 'python3.12')
    """
    path = Path(word)
    if path.parent.name in ("bin", "Scripts"):
        path = path.parent.parent
    return path.name or word


def _sources(word: str, folder: Path) -> tuple[Path, str]:
    """The sources that a word means, and their label; those of a revision are put into `folder`."""
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{word}^{{commit}}")
    if Path(word).is_dir():
        if found is not None and found.returncode == 0:
            raise RequestError(
                f"{word}: is a folder here and a revision; for the folder write ./{word}, for the revision "
                f"its hash, {found.stdout.strip()[:10]}"
            )
        return Path(word).absolute(), f"sources in {Path(word).absolute().name}"
    if found is None or found.returncode != 0:
        where = "a git revision of the repository in this folder"
        missing = "git is not installed" if found is None else "there is no such interpreter or revision"
        raise RequestError(
            f"{word}: expected a Python interpreter, the folder of an environment or of sources, or {where}; "
            f"{missing}"
        )
    # An archive, and no worktree: whatever ends this process, the repository is left as it was.
    archive = folder.with_suffix(".zip")
    root = _git("rev-parse", "--show-toplevel")
    top = root.stdout.strip() if root is not None else ""
    made = _git("-C", top, "archive", "--format=zip", f"--output={archive}", found.stdout.strip())
    if made is None or made.returncode != 0:
        said = made.stderr.strip().splitlines()[-1:] if made is not None else []
        raise RequestError(f"{word}: cannot be read from the repository: {' '.join(said) or 'git failed'}")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    short = found.stdout.strip()[:10]
    return folder, word if short.startswith(word) else f"{word} ({short})"


def _git(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    """git, in this folder; None where it is not installed."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None


def _environment(folder: Path, sources: Path) -> str:
    """An environment that imports these sources first, and else what this interpreter imports.

    No package is installed: a build would take minutes, and torch gigabytes. What must be built, such as
    C extensions, needs environments that the user makes.
    """
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    # Not the scheme `venv`, which Python 3.10 does not know.
    scheme = "nt" if os.name == "nt" else "posix_prefix"
    site = Path(sysconfig.get_path("purelib", scheme, {"base": str(folder), "platbase": str(folder)}))
    own = [path for path in sys.path if path.rstrip("/\\").endswith(("site-packages", "dist-packages"))]
    before = [str(path) for path in (sources / "src", sources) if path.is_dir()]
    # Files of paths are read in order of their names; a line that imports is executed. Sources go before
    # all else; an editable installation of the same package is found after them, by a finder that it adds.
    lines = [
        f"import sys; sys.path[:0] = {before!a}",
        *(f"import site; site.addsitedir({path!a})" for path in own),
    ]
    (site / "gradbench_versus.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
