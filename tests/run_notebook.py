"""Run the code cells of notebooks in order, and show what a notebook shows: python run_notebook.py FILE...

After all that a notebook shows comes a line with its name. Times are measured for an instant only.
"""

import ast
import json
import re
import sys
from pathlib import Path


def code_cells(path):
    """The code of each code cell."""
    cells = json.loads(Path(path).read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_cell(code, names, label):
    """Run a cell; what its last line leaves is shown, unless it ends in a semicolon."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, label, "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), label, "eval"), names)
        if value is not None and not code.rstrip().endswith(";"):
            print(getattr(value, "_repr_html_", value.__str__)())


def in_an_instant(code):
    """The first cell of a notebook, with the least seconds that each way to measure accepts."""
    shorter, count = re.subn(r"^SECONDS = [\d.]+$", "SECONDS = 0.4", code, flags=re.MULTILINE)
    assert count == 1, "expected one line that says the SECONDS"
    return shorter


if __name__ == "__main__":
    for path in sys.argv[1:]:
        # `__name__` as in a notebook.
        names = {"__name__": "__main__"}
        first, *others = code_cells(path)
        for number, code in enumerate([in_an_instant(first), *others]):
            run_cell(code, names, f"{path}, code cell {number}")
        print(f"shown by {Path(path).stem}")
