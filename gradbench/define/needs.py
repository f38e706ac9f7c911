"""What an alternative may need of the machine beside torch."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence

# The programs of which any one provides it; a package, of its own name, needs none.
NEEDS = {
    "c compiler": ("cc", "gcc", "clang"),
    "c++ compiler": ("c++", "g++", "clang++"),
    "triton": (),
}


def lacks(needs: Sequence[str]) -> str:
    """What of these is not on the machine; empty where nothing is wanting."""
    for each in needs:
        programs = NEEDS[each]
        if programs and not any(map(shutil.which, programs)):
            return f"there is no {each} here: expected one of {', '.join(programs)}"
        if not programs and importlib.util.find_spec(each) is None:
            return f"there is no package {each} here"
    return ""
