"""Imports follow the way of the data, only what measures imports torch, and importing is cheap."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gradbench
from gradbench.define.methods import METHODS

PACKAGE = Path(gradbench.__file__).parent

# Every folder and every module on the first floor, and what it may import of the others. A new one wants a
# row. Measuring and analysing are siblings: the results file is all that they share.
# The package itself has the empty name, and names the library for those who ask for types.
MAY_IMPORT = {
    "": {"library"},
    "errors": set(),
    "extension": {"errors"},
    "record": {"errors"},
    "format": {"record"},
    "models": set(),
    "functions": set(),
    "placement": {"models"},
    "define": {"errors", "extension", "format", "record"},
    "measure": {"errors", "extension", "format", "record", "models", "functions", "placement", "define"},
    "analyse": {"errors", "extension", "format", "record"},
    "report": {"errors", "extension", "format", "record", "analyse"},
    "versus": {"errors", "format", "record", "define", "measure", "analyse", "report"},
    "guard": {"format", "record", "measure", "analyse"},
    "library": {"format", "record", "measure", "analyse", "report", "versus", "guard"},
    "pytest_plugin": {"guard"},
    "cli": {"errors", "extension", "format", "record", "define", "measure", "analyse", "report"} | {"versus"},
}

# Where torch may be imported, at the top or inside a function: the measured library, and what measures it.
TORCH = {"functions", "models", "placement", "measure"}

# What draws, prints or holds a table: a command takes its time to import them, a guard never does.
HEAVY = (
    "torch",
    "matplotlib",
    "jinja2",
    "click",
    "rich",
    "scipy.stats",
    "gradbench.define",
    "gradbench.report",
)


def read_modules():
    """The dotted names inside the package, and their trees; the package itself has the empty name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts).removesuffix("__init__").removesuffix("."), ast.parse(path.read_text())


TREES = dict(read_modules())


def imported(tree):
    """The full names of the modules that a tree imports, at its top and inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` imports the module; of anything else, where it is defined.
            yield from {name if name.removeprefix("gradbench.") in TREES else node.module for name in names}


def inside(tree):
    """The modules of this package that a tree imports."""
    names = {name.removeprefix("gradbench.") for name in imported(tree) if name.startswith("gradbench.")}
    return names & TREES.keys()


def folder(name):
    """The first floor of a module's name: `report` for `report.page`."""
    return name.partition(".")[0]


def imports_torch(name):
    return "torch" in {folder(each) for each in imported(TREES[name])}


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(*modules):
    """The modules that importing these loads, in a fresh process."""
    names = ", ".join(f"gradbench.{name}" for name in modules)
    return run_python(
        f"import sys; before = set(sys.modules)\nimport {names}\nprint(*set(sys.modules) - before)"
    ).split()


def of(names, loaded):
    """Those of the loaded modules that are one of these, or inside it."""
    return [each for each in loaded for name in names if f"{each}.".startswith(f"{name}.")]


def test_every_folder_and_module_has_a_row_that_says_what_it_may_import():
    assert {folder(name) for name in TREES} == MAY_IMPORT.keys()


def test_the_rows_lead_one_way():
    order = list(graphlib.TopologicalSorter(MAY_IMPORT).static_order())
    assert set(order) == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", sorted(TREES))
def test_a_module_imports_only_what_its_folder_may(name):
    allowed = MAY_IMPORT.get(folder(name), set()) | {folder(name)}
    found = {folder(each) for each in inside(TREES[name])}
    assert not found - allowed


def test_no_import_leads_back():
    waiting = {name: inside(tree) - {name} for name, tree in TREES.items()}
    while free := {name for name, needs in waiting.items() if not needs & waiting.keys()}:
        for name in free:
            del waiting[name]
    assert not waiting


@pytest.mark.parametrize("name", sorted(name for name in TREES if folder(name) not in TORCH))
def test_only_what_measures_imports_torch(name):
    assert not imports_torch(name)


def reached_from(*names):
    """The modules that are imported on the way from these, at the top and inside functions."""
    found, waiting = set(), [*names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += inside(TREES[name])
    return found


# A measuring process is started by the path of its file, which is no import.
PARENT = sorted(reached_from("cli.main") | {name for name in TREES if folder(name) in ("record", "report")})


def test_nothing_that_a_command_reaches_imports_torch():
    assert len(PARENT) > 80
    assert [name for name in PARENT if imports_torch(name)] == []
    assert of(["torch"], loaded_by(*PARENT)) == []


@pytest.mark.parametrize("measuring", ["measure.worker", "measure.marked", "functions.autograd"])
def test_what_measures_would_be_noticed_in_the_code(measuring):
    assert imports_torch(measuring)
    assert measuring not in PARENT


def test_what_measures_would_be_noticed_as_it_is_loaded():
    assert of(["torch"], loaded_by("functions.autograd")) != []


def test_records_are_read_without_tables_and_arithmetic():
    loaded = loaded_by(*(name for name in TREES if folder(name) in ("record", "errors")))
    assert of((*HEAVY, "numpy", "scipy", "gradbench.measure", "gradbench.analyse"), loaded) == []


def test_a_guard_loads_what_it_uses_and_no_table():
    loaded = loaded_by("guard")
    assert of(HEAVY, loaded) == []
    ours = {each.removeprefix("gradbench.") for each in of(["gradbench"], loaded)} - {"gradbench"}
    # Beside guards and records: Student's t, how many calls a batch holds, and figures for readers.
    others = {name for name in ours if folder(name) not in ("guard", "record", "errors")}
    assert others == {"analyse", "analyse.stats", "measure", "measure.calibration", "format"}


def test_the_pytest_plugin_loads_nothing_in_projects_that_do_not_use_it():
    loaded = run_python(
        "import sys, pytest; before = set(sys.modules)\n"
        "import gradbench.pytest_plugin\n"
        "print(*set(sys.modules) - before)"
    )
    assert set(loaded.split()) == {"gradbench", "gradbench.pytest_plugin"}


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


def test_help_loads_nothing_of_weight():
    code = (
        "import contextlib, sys\n"
        "from gradbench.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print('loaded:', *sys.modules)"
    )
    loaded = run_python(code).partition("loaded:")[2].split()
    heavy = (
        "torch",
        "numpy",
        "scipy",
        "matplotlib",
        "jinja2",
        "rich",
        "gradbench.define",
        "gradbench.versus",
    )
    assert of(heavy, loaded) == []


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
