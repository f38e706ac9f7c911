"""Run the code cells of a notebook in order, and show what a notebook shows: python run_notebook.py FILE."""

import ast
import json
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


if __name__ == "__main__":
    # `__name__` as in a notebook.
    names = {"__name__": "__main__"}
    for number, code in enumerate(code_cells(sys.argv[1])):
        run_cell(code, names, f"{sys.argv[1]}, code cell {number}")
