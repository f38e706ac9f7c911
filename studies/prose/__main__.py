"""`python -m studies.prose [PATH...]`: prints what breaks a rule, and ends with 1 where anything does."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

from studies.prose.passages import READERS, passages
from studies.prose.rules import faults

ROOT = Path(__file__).parents[2]
READ = (
    "README.md",
    "METHODOLOGY.md",
    "CONTRIBUTING.md",
    "docs",
    "examples",
    "gradbench",
    "benchmarks",
    "studies",
)
# The file of the rules holds every phrase that they forbid.
RULES = "studies/prose/rules.py"

# Folders of files that a tool makes.
_MADE = {".ipynb_checkpoints", "_build"}


def files(path: Path) -> Iterator[Path]:
    """The files with prose at this path, in order."""
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    yield from (each for each in found if each.suffix in READERS and not _MADE & set(each.parts))


def checked() -> Iterator[Path]:
    """The files that `make check` checks."""
    for name in READ:
        yield from (each for each in files(ROOT / name) if each != ROOT / RULES)


def main(names: list[str]) -> int:
    """The exit code: 1 where a rule is broken."""
    broken = 0
    for path in [each for name in names for each in files(Path(name).resolve())] or checked():
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        for line, words, instead in sorted(faults(passages(path))):
            broken += 1
            text = shorten(words, 60, placeholder="...")
            print(f'{shown}:{line}: "{text}": {instead}')
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
