"""`pytest --benchmark-only` as a user calls it, on a few cells; and what a plain run makes of them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import conftest
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timing]

ROOT = Path(__file__).parent.parent
CELLS = "control-100-no_grad or chain-100-tracked or control-100-requires"


def run_benchmarks(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--benchmark-only", "-p", "no:cacheprovider", "-k", CELLS,
         f"--benchmark-storage={folder}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved run: its folder, its file, and what was printed."""
    folder = tmp_path_factory.mktemp("storage")
    done = run_benchmarks(folder, "--benchmark-save=then")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.rglob("*_then.json")
    return SimpleNamespace(folder=folder, path=path, printed=done.stdout)


@pytest.fixture(scope="module")
def cells(saved):
    """By the name of a cell, what was saved of it."""
    return {
        each["name"].removeprefix("test_cell[").removesuffix("]"): each
        for each in json.loads(saved.path.read_text())["benchmarks"]
    }


def test_cells_are_named_by_workload_size_and_method_and_grouped_by_the_first_two(cells):
    assert {name: each["group"] for name, each in cells.items()} == {
        "control-100-no_grad": "control 100",
        "control-100-no_grad_decorator": "control 100",
        "control-100-no_grad_prebuilt": "control 100",
        "control-100-requires_grad_false": "control 100",
        "chain-100-tracked": "chain 100",
    }


def test_nothing_else_is_run_or_skipped(saved):
    assert "5 passed" in saved.printed
    assert "skipped" not in saved.printed


def test_extra_info_has_memory_the_interleaved_ratio_and_the_code(cells):
    tracked = cells["chain-100-tracked"]["extra_info"]
    # Of 400 bytes each: pow keeps x, sin keeps its input, exp keeps its result (as in test_memory.py).
    kept = {"retained": 800, "graph": 400, "saved": 1200}
    nothing = {"standing": 0, "left": 0}
    assert tracked["bytes"] == {"allocated": 1200, "peak": 1200, **kept, **nothing}
    assert (tracked["elements"], tracked["dtype"]) == (100, "float32")
    assert tracked["statement"] == "y = torch.exp(torch.sin(x ** 2))"
    assert cells["chain-100-tracked"]["params"] == {"workload": "chain", "elements": 100, "method": "tracked"}
    for each in cells.values():
        info = each["extra_info"]
        assert info["baseline"] == "requires_grad_false"
        assert info["ratio_low"] <= info["ratio"] <= info["ratio_high"]
        assert info["ratio_rounds"] == each["stats"]["rounds"] >= 20
        assert info["calls"] >= 1
        assert info["ratio_floor"] >= 0
    # An empty block costs more than clearing a flag that is clear, by ten to twenty times.
    assert cells["control-100-no_grad"]["extra_info"]["ratio"] > 3


def test_the_ratio_of_each_cell_is_in_the_terminal_too(saved, cells):
    for name, each in cells.items():
        (line,) = [line for line in saved.printed.splitlines() if f"test_cell[{name}]: " in line]
        (shown,) = re.findall(r"\]: ([\d.,]+) .*times requires_grad_false, in turns$", line)
        assert float(shown.replace(",", "")) == pytest.approx(each["extra_info"]["ratio"], rel=0.01)


def test_times_are_those_of_one_call_whatever_the_number_of_calls_in_a_batch(cells):
    """The ratio of two cells' times is near the interleaved one: neither has a loop or a call in it.

    With 50 ns more on each, as pytest-benchmark's own loop adds, 17 times a flag would be under 11 times.
    """
    flag, block = cells["control-100-requires_grad_false"], cells["control-100-no_grad"]
    # The least, since the two are not measured in the same second.
    times = block["stats"]["min"] / flag["stats"]["min"]
    assert times == pytest.approx(block["extra_info"]["ratio"], rel=0.3)


def test_a_saved_run_names_no_machine_and_says_which_torch(saved):
    machine = json.loads(saved.path.read_text())["machine_info"]
    assert machine["torch"]
    assert "node" not in machine
    assert not [name for name in machine["cpu"] if name.startswith("hz_actual")]


def quicker(saved, folder, change):
    """A copy of the saved run in which each cell has been changed."""
    content = json.loads(saved.path.read_text())
    for each in content["benchmarks"]:
        change(each)
    path = folder / saved.path.relative_to(saved.folder)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return folder


def test_a_ratio_that_rose_fails_and_what_is_no_slower_passes(saved, tmp_path):
    def change(cell):
        if "chain-100-tracked" in cell["name"]:
            for name in ("ratio", "ratio_low", "ratio_high"):
                cell["extra_info"][name] /= 100

    done = run_benchmarks(
        quicker(saved, tmp_path, change),
        *("--benchmark-compare", "--benchmark-compare-fail=median:900%", "--ratio-fail=900"),
    )
    assert done.returncode == 1
    assert "1 failed, 4 passed" in done.stdout
    assert "AssertionError: ratio to requires_grad_false: " in done.stdout
    assert "regressed" not in done.stdout + done.stderr
    assert "machine_info is different" not in done.stdout + done.stderr


def test_times_that_rose_fail(saved, tmp_path):
    def change(cell):
        cell["stats"]["median"] /= 100

    done = run_benchmarks(
        quicker(saved, tmp_path, change), "--benchmark-compare", "--benchmark-compare-fail=median:5%"
    )
    assert done.returncode != 0
    assert "Performance has regressed" in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--ratio-fail=5"], ["--ratio-fail=-1", "--benchmark-compare"]])
def test_a_guard_of_ratios_without_a_saved_run_or_a_bound_is_refused(arguments, tmp_path):
    done = run_benchmarks(tmp_path, *arguments)
    assert done.returncode == 4
    assert "--ratio-fail: expected 0 or more per cent, and a saved run; got" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "options", "benchmarks", "others"),
    [
        ([], {}, False, True),
        (["tests"], {}, False, True),
        (["tests/test_planner.py"], {}, False, True),
        ([], {"benchmark_only": True}, True, False),
        ([], {"benchmark_enable": True}, True, True),
        (["tests/benchmark"], {}, True, True),
        (["tests/benchmark/test_cells.py::test_cell[control-100-no_grad]"], {}, True, True),
    ],
)
def test_benchmarks_are_collected_where_they_are_asked_for(arguments, options, benchmarks, others):
    config = SimpleNamespace(
        args=arguments,
        invocation_params=SimpleNamespace(dir=ROOT),
        getoption=lambda name, default=None: options.get(name, default),
    )
    collected = {
        path: conftest.pytest_ignore_collect(ROOT / path, config) is not True
        for path in ("tests/benchmark", "tests/benchmark/test_cells.py", "tests/test_planner.py", "tests")
    }
    assert collected.pop("tests")
    assert list(collected.values()) == [benchmarks, benchmarks, others]
