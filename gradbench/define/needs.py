"""Programs and packages that an alternative may need beside torch."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence

# Any one of these programs provides the need. A need with the name of a package has no programs.
NEEDS = {
    "c compiler": ("cc", "gcc", "clang"),
    "c++ compiler": ("c++", "g++", "clang++"),
    "triton": (),
}


def lacks(needs: Sequence[str]) -> str:
    """The clause that names what the machine lacks; empty where it has everything."""
    for each in needs:
        programs = NEEDS[each]
        if programs and not any(map(shutil.which, programs)):
            return f"there is no {each} here: expected one of {', '.join(programs)}"
        if not programs and importlib.util.find_spec(each) is None:
            return f"there is no package {each} here"
    return ""
