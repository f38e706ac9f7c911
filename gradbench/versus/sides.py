"""The sides of a trial: interpreters that are there, or sources that get an environment of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gradbench.errors import RequestError


@dataclass(frozen=True)
class Side:
    """An interpreter to measure with, and how a report calls it: without the folders that it lies in."""

    label: str
    python: str


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
        opened: list[str] = []
        try:
            sides = []
            for name, word in (("a", one), ("b", other)):
                python = _interpreter(word)
                if python is not None:
                    sides.append(Side(_environment_name(word), python))
                    continue
                made = Path(folder) / f"sources-{name}"
                sources, label = _sources(word, made)
                if sources == made:
                    opened.append(str(made))
                sides.append(Side(label, _environment(Path(folder) / f"environment-{name}", sources)))
            yield sides[0], sides[1]
        finally:
            for path in opened:
                _git("worktree", "remove", "--force", path)


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
    """The sources that a word means, and their label; those of a revision are checked out into `folder`."""
    if Path(word).is_dir():
        return Path(word).absolute(), f"sources in {Path(word).absolute().name}"
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{word}^{{commit}}")
    if found is None or found.returncode != 0:
        where = "a git revision of the repository in this folder"
        missing = "git is not installed" if found is None else "there is no such interpreter or revision"
        raise RequestError(
            f"{word}: expected a Python interpreter, the folder of an environment or of sources, or {where}; "
            f"{missing}"
        )
    made = _git("worktree", "add", "--quiet", "--detach", str(folder), found.stdout.strip())
    if made is None or made.returncode != 0:
        said = made.stderr.strip().splitlines()[-1:] if made is not None else []
        raise RequestError(f"{word}: cannot be checked out: {' '.join(said) or 'git failed'}")
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
    scheme = {"base": str(folder), "platbase": str(folder), "installed_base": sys.base_prefix}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    own = [path for path in sys.path if path.rstrip("/\\").endswith(("site-packages", "dist-packages"))]
    before = [str(path) for path in (sources / "src", sources) if path.is_dir()]
    # Files of paths are read in order of their names; a line that imports is executed. Sources go before
    # all else; an editable installation of the same package is found after them, by a finder that it adds.
    lines = [
        f"import sys; sys.path[:0] = {before!r}",
        *(f"import site; site.addsitedir({path!r})" for path in own),
    ]
    (site / "gradbench_versus.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
