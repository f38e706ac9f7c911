"""The sides of a trial: existing interpreters, or sources that get a new environment."""

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

import msgspec

from gradbench.errors import RequestError
from gradbench.measure.devices import resolve_devices
from gradbench.record.plan import Request
from gradbench.versus.records import NAMES


@dataclass(frozen=True)
class Side:
    """An interpreter that measures, and its name in a report, which has no folders.

    Attributes:
        sources: the folder that it imports from first; empty for an interpreter without added sources.
    """

    label: str
    python: str
    sources: str = ""


@contextlib.contextmanager
def open_sides(one: str, other: str) -> Iterator[tuple[Side, Side]]:
    """The sides that two words mean. It removes the environments that it made when the trial ends.

    A word is an interpreter: a path, or a name on PATH that begins with python or pypy. It may also be the
    folder of a virtual environment, a folder of sources, or a git revision of the repository in this folder.
    Sources, of a folder or of a revision, get a new environment. It imports them before everything else that
    this interpreter imports. Both sides then differ only in these sources.

    Raises RequestError for any other word.
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
    """The interpreter that a word means; None if it means no interpreter."""
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
        # An environment's interpreter is a link. It finds its environment by the name of the link, so the
        # link is not resolved.
        return str(path.absolute())
    # Other names may be a program and also a revision: HEAD is both.
    return shutil.which(word) if word.startswith(("python", "pypy")) and not path.is_dir() else None


def _environment_name(word: str) -> str:
    """The name of an interpreter's environment, or of the interpreter if it has no environment.

    >>> _environment_name("/home/me/old/bin/python"), _environment_name("python3.12")
    ('old', 'python3.12')
    """
    path = Path(word)
    if path.parent.name in ("bin", "Scripts"):
        path = path.parent.parent
    return path.name or word


def _sources(word: str, folder: Path) -> tuple[Path, str]:
    """The sources that a word means, and their label. Sources of a revision go into `folder`."""
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
    commit = found.stdout.strip()
    _check_out(word, commit, folder)
    return folder, word if commit[:10].startswith(word) else f"{word} ({commit[:10]})"


def _check_out(word: str, commit: str, folder: Path) -> None:
    """Put a revision's files into a new folder, with their links and their permission to be executed.

    A separate index and no worktree serve for it. So the repository stays as it was, even if this process is
    killed.
    """
    folder.mkdir()
    place = _git("rev-parse", "--absolute-git-dir")
    of_repository = (f"--git-dir={place.stdout.strip() if place else ''}", f"--work-tree={folder}")
    index = str(folder.with_suffix(".index"))
    for step in (("read-tree", commit), ("checkout-index", "--all")):
        made = _git(*of_repository, *step, index=index)
        if made is None or made.returncode != 0:
            reason = "git failed" if made is None else " ".join(made.stderr.strip().splitlines()[-1:])
            raise RequestError(f"{word}: cannot be read from the repository: {reason}")


def _git(*arguments: str, index: str = "") -> subprocess.CompletedProcess[str] | None:
    """Run git in this folder, with this index if one is named; None if git is not installed."""
    environment = {**os.environ, "GIT_INDEX_FILE": index} if index else None
    try:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, env=environment
        )
    except FileNotFoundError:
        return None


def _environment(folder: Path, sources: Path) -> str:
    """An environment that imports these sources first, and otherwise all that this interpreter imports.

    No package is installed: a build would take minutes, and torch gigabytes. Code that must be built, for
    example C extensions, needs environments that the user makes.
    """
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    # Python 3.10 does not know the scheme `venv`.
    scheme = "nt" if os.name == "nt" else "posix_prefix"
    site = Path(sysconfig.get_path("purelib", scheme, {"base": str(folder), "platbase": str(folder)}))
    own = [path for path in sys.path if path.rstrip("/\\").endswith(("site-packages", "dist-packages"))]
    before = [str(path) for path in (sources / "src", sources) if path.is_dir()]
    # Python reads .pth files in order of their names, and executes a line that imports. The sources go first.
    # An editable installation of the same package comes after them, by a finder that it adds.
    lines = [
        f"import sys; sys.path[:0] = {before!a}",
        *(f"import site; site.addsitedir({path!a})" for path in own),
    ]
    (site / "gradbench_versus.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))


def on_both(request: Request, sides: tuple[Side, Side]) -> Request:
    """The request with its device by name, and the memory that both sides have there.

    Raises RequestError if torch on one side does not find the device.
    """
    found = []
    for name, side in zip(NAMES, sides, strict=True):
        try:
            found.append(resolve_devices(request, side.python))
        except RequestError as error:
            raise RequestError(f"{name} ({side.label}): {error}") from None
    room = {name: min(each.room.get(name, free) for each in found) for name, free in found[0].room.items()}
    return msgspec.structs.replace(found[0], room=room)


def same_file(one: Path, other: Path) -> bool:
    """Whether two names are of one file. A hard link, which some installers make, counts as another file.

    Environments of hard links differed in more variants than one environment does from itself
    (METHODOLOGY.md).
    """
    return one.resolve() == other.resolve()
