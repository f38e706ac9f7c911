"""The fixture `gradbench` as another project has it: by its entry point, in a pytest of its own.

What is asserted of times is so far from any margin that no machine is too busy for it.
"""

import importlib.metadata
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest

PROJECT = """
import pytest
import torch

x = torch.ones(100, requires_grad=True)


def work(times):
    for _ in range(times):
        sum((1, 2, 3))


def broken():
    return {}["the missing key"]


def test_quick(gradbench):
    ratio = gradbench.assert_not_slower(lambda: work(10), lambda: work(100))
    assert ratio.ratio.mean < 0.5


def test_small(gradbench):
    found = gradbench.assert_bytes_at_most(lambda: x.exp(), retained=400, peak=400)
    assert found.bytes.saved == 400


def test_slow(gradbench):
    gradbench.assert_not_slower(lambda: work(100), lambda: work(10))


def test_large(gradbench):
    gradbench.assert_bytes_at_most(lambda: x.exp(), saved=399)


def test_open(gradbench):
    assert gradbench.assert_not_slower(lambda: None, lambda: None).verdict == "not shown"


def test_proof(gradbench):
    gradbench.assert_not_slower(lambda: None, lambda: None, require_proof=True)


def test_raises(gradbench):
    gradbench.assert_not_slower(broken, lambda: work(1))


def test_margin(gradbench):
    gradbench.assert_not_slower(work, work, margin=-1)


def test_callable(gradbench):
    gradbench.assert_not_slower(3, work)


def test_bytes(gradbench):
    gradbench.assert_bytes_at_most(work, retained=-8)


def test_per_call(gradbench):
    gradbench.assert_not_slower(
        lambda y: y.backward(), lambda y: y.backward(), margin=5, setup=lambda: x.sum()
    )
    gradbench.assert_bytes_at_most(lambda y: y.exp(), retained=32, setup=lambda: torch.ones(8))
"""

NOTHING = """
import sys


def test_nothing():
    assert not {name for name in sys.modules if name.partition(".")[0] in ("torch", "numpy", "scipy")}
    ours = {name for name in sys.modules if name.partition(".")[0] == "gradbench"}
    assert ours == {"gradbench", "gradbench.pytest_plugin"}
"""


def run_pytest(folder, text):
    """Run the tests of a project; what it printed, and by test its outcome, failure and properties."""
    (folder / "test_project.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", "--rootdir=.",
         "-W", "error", "--junitxml=junit.xml"],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    tests = {}
    for case in ElementTree.parse(folder / "junit.xml").iter("testcase"):
        failure = case.find("failure")
        tests[case.get("name").removeprefix("test_")] = SimpleNamespace(
            passed=failure is None,
            failure="" if failure is None else failure.text,
            properties=[(each.get("name"), each.get("value")) for each in case.iter("property")],
        )
    return SimpleNamespace(printed=done.stdout, tests=tests)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The tests of another project, run once; it turns warnings into errors."""
    return run_pytest(tmp_path_factory.mktemp("project"), PROJECT)


def test_pytest_finds_the_fixture_by_its_entry_point():
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="gradbench")
    assert entry.value == "gradbench.pytest_plugin"


def test_what_should_pass_passes_and_nothing_else(project):
    passed = {name for name, test in project.tests.items() if test.passed}
    assert passed == {"quick", "small", "open", "per_call"}
    assert len(project.tests) == 11


@pytest.mark.parametrize(
    "line",
    [
        r"passed: \S+::test_quick: candidate takes 0\.\d+ \(0\.\d+ to 0\.\d+\) times baseline, and at most",
        r"passed: \S+::test_small: bytes retained: 400, at most 400 allowed; bytes peak: 400",
        r"passed: \S+::test_open: candidate takes .* too near for a verdict",
        r"failed: \S+::test_slow: candidate takes [\d.]+ \([\d.]+ to [\d.]+\) times baseline; at most 1",
        r"failed: \S+::test_large: bytes saved: 400, at most 399 allowed",
    ],
)
def test_the_summary_says_what_was_found(project, line):
    _, title, summary = project.printed.partition("= gradbench =")
    assert title
    assert re.search(f"^{line}", summary, re.MULTILINE), summary


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        (
            "slow",
            r"gradbench.assert_not_slower\(lambda: work\(100\), lambda: work\(10\)\)",
            r"AssertionError: candidate takes .* times baseline; at most 1.05 was allowed; identical code",
        ),
        (
            "large",
            r"gradbench.assert_bytes_at_most\(lambda: x.exp\(\), saved=399\)",
            r"AssertionError: bytes saved: 400, at most 399 allowed",
        ),
        ("proof", r"gradbench.assert_not_slower\(.*require_proof=True\)", r"AssertionError: candidate takes"),
        ("raises", r'return \{\}\["the missing key"\]', r"KeyError: 'the missing key'"),
        ("margin", r"gradbench.*margin=-1\)", r"ValueError: expected margin of at least 0.02; got -1; .*"),
        ("callable", r"gradbench.*\(3, work\)", r"TypeError: expected candidate to be callable; got 3; .*"),
        ("bytes", r"gradbench.*retained=-8\)", r"ValueError: expected retained in whole bytes, 0 or more"),
    ],
)  # fmt: skip
def test_a_failure_shows_the_line_of_the_test_and_one_line_of_why(project, name, code, error):
    failure = project.tests[name].failure
    assert re.search(rf"^>\s+{code}", failure, re.MULTILINE), failure
    assert re.search(rf"^E\s+{error}", failure, re.MULTILINE), failure


@pytest.mark.parametrize("name", ["slow", "large", "proof", "margin", "callable", "bytes"])
def test_a_failure_of_the_users_shows_no_frame_of_ours(project, name):
    assert "gradbench/guard/" not in project.tests[name].failure
    assert "pytest_plugin.py" not in project.tests[name].failure


def test_the_figures_are_properties_in_junit(project):
    found = dict(project.tests["quick"].properties)
    assert found["gradbench"].startswith("candidate takes 0.")
    assert found["gradbench.verdict"] == "not slower"
    assert float(found["gradbench.ratio_low"]) <= float(found["gradbench.ratio"]) < 0.5
    assert dict(project.tests["slow"].properties)["gradbench.verdict"] == "slower"
    assert dict(project.tests["small"].properties)["gradbench.retained"] == "400"
    assert [name for name, _ in project.tests["per_call"].properties].count("gradbench") == 2


def test_projects_that_do_not_use_the_fixture_see_and_load_nothing(tmp_path):
    done = run_pytest(tmp_path, NOTHING)
    assert done.tests["nothing"].passed, done.printed
    assert "= gradbench =" not in done.printed


def test_a_guard_of_times_needs_no_torch():
    code = (
        "import sys\n"
        "from gradbench.guard import compare_time\n"
        "compare_time(lambda: sum((1, 2)), lambda: sum((1, 2)), seconds=0.05)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
