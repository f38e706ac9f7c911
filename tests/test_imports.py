"""Nothing that only plans or reads imports torch, and imports follow the way of the data."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench
from gradbench.define.methods import METHODS

PACKAGE = Path(gradbench.__file__).parent

# Only what runs inside a worker imports torch when it is imported.
MEASURING = {
    "clock", "variant", "checks", "memory", "measure", "functions", "native", "models", "probes", "look",
    "triton_kernels", "kernels",
}  # fmt: skip
# What may import what else, by the way of the data: definitions → plan → measure → run → results → report.
DEFINITIONS = {"errors", "sizes", "methods", "workloads"}
READING = {"results", "stats", "summary", "export", "report"}


def modules():
    """The dotted names inside the package, and their trees."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts).removesuffix("__init__").removesuffix("."), ast.parse(path.read_text())


TREES = dict(modules())


def measures(name):
    """Whether a module is one that imports torch: a predictor in PyTorch is asked for by name."""
    return family(name) in MEASURING or name == "placement.tensors"


def at_import(tree):
    """The statements that run when a module is imported: all but the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(node)


def imported(nodes):
    """The full names of the modules that some statements import, as far as a name can tell."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` imports the module; of anything else, where it is defined.
            yield from {name if name.removeprefix("gradbench.") in TREES else node.module for name in names}


def inside(nodes):
    """The modules of this package that some statements import."""
    names = {name.removeprefix("gradbench.") for name in imported(nodes) if name.startswith("gradbench.")}
    return names & TREES.keys()


def family(name):
    """The top-level part of a module's name: `report` for `report.page`."""
    return name.partition(".")[0]


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(name for name in TREES if name and not measures(name)))
def test_a_module_that_does_not_measure_imports_nothing_that_does(name):
    statements = list(at_import(TREES[name]))
    assert "torch" not in {each.partition(".")[0] for each in imported(statements)}
    assert not inside(statements) & MEASURING


def test_no_module_that_does_not_measure_has_torch_imported_by_way_of_another():
    names = [name for name in TREES if not measures(name) and not name.endswith("__main__")]
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(f'gradbench.{name}'.rstrip('.'))\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')\n"
        "print(len(sys.modules))"
    )
    assert int(run_python(code)) > len(names)


def test_definitions_import_only_definitions():
    for name, tree in TREES.items():
        if family(name) in DEFINITIONS:
            assert {family(each) for each in inside(ast.walk(tree))} <= DEFINITIONS, name


def test_the_plan_imports_only_definitions():
    assert {family(each) for each in inside(ast.walk(TREES["plan"]))} <= DEFINITIONS


def test_what_reads_results_imports_nothing_that_makes_them_even_inside_a_function():
    makers = MEASURING | {"worker", "run", "job"}
    for name, tree in TREES.items():
        if family(name) in READING:
            assert not {family(each) for each in inside(ast.walk(tree))} & makers, name


def test_no_import_leads_back():
    waiting = {name: inside(ast.walk(tree)) - {name} for name, tree in TREES.items()}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        for name in free:
            del waiting[name]
    assert not waiting


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "Usage: gradbench"),
        (["run", "--help"], "--preset"),
        (["list"], "requires_grad_false (baseline)"),
        (["run", "--method", "no_grd"], ""),
    ],
)
def test_a_command_that_measures_nothing_does_not_import_torch(arguments, said, tmp_path):
    code = (
        "import contextlib, os, sys\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "from gradbench.cli.main import main\n"
        f"with contextlib.suppress(SystemExit): main({arguments})\n"
        "assert 'torch' not in sys.modules"
    )
    assert said in run_python(code)
    assert not list(tmp_path.iterdir())


def test_the_list_for_programs_is_json_of_every_method_and_needs_no_torch():
    code = (
        "import contextlib, sys\n"
        "from gradbench.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['list', '--json'])\n"
        "assert 'torch' not in sys.modules"
    )
    listed = json.loads(run_python(code))
    assert [each["name"] for each in listed["methods"]] == [method.name for method in METHODS]
    assert [each["name"] for each in listed["methods"] if each["baseline"]] == ["requires_grad_false"]


def test_importing_the_package_imports_nothing_but_itself():
    code = "import sys; before = set(sys.modules); import gradbench; print(*set(sys.modules) - before)"
    assert run_python(code).split() == ["gradbench"]
