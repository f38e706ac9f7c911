"""A package of one's own: the example of the documentation, as it stands there, in every command."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import GRADBENCH

from gradbench import extension
from gradbench.analyse.claims import Claim, claims
from gradbench.analyse.claims.claim import judge_claim
from gradbench.analyse.summary import summarise
from gradbench.define.methods import BASELINE, Method, methods
from gradbench.define.metrics import Metric, metrics
from gradbench.define.workloads import Alternative, Workload, workloads
from gradbench.errors import RequestError
from gradbench.extension import Extension
from gradbench.measure.remaining import Remaining
from gradbench.record.results import FILENAME, read_results
from gradbench.report.export import form, forms

ROOT = Path(__file__).parents[1]
EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)[1]
# Beside it another package, with a metric that fails for one method.
OTHER = """
from gradbench.define.metrics import Metric
from gradbench.extension import Extension

def fails_at_times(ready):
    if ready.variant.name == "detach":
        raise ValueError("not of this one")
    return 0.5

EXTENSION = Extension(
    metrics=(Metric("joules", "J", "energy", "What it takes.", measure="other_example:fails_at_times"),)
)
"""


def install(site, package, module, source, target="EXTENSION"):
    """What pip leaves of a package: a module, and the folder of its metadata with the entry point."""
    (site / f"{module}.py").write_text(source)
    facts = site / f"{package.replace('-', '_')}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{extension.GROUP}]\nrow = {module}:{target}\n")


def environment(site):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def call(site, *command, cwd):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment(site), capture_output=True, text=True, timeout=300
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that is on the path, with both packages; a run that was made with them."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("run")
    install(site, "gradbench-example", "gradbench_example", EXAMPLE)
    install(site, "other-example", "other_example", OTHER)

    def gradbench(*arguments):
        done = call(site, GRADBENCH, *arguments, cwd=folder)
        assert (done.code, done.err.count("error")) == (0, 0), done.err
        return done.out

    gradbench(
        "run", "--preset", "quick", "--workload", "softplus", "--passes", "2", "--quiet",
        "--method", "no_grad_on_a_stack,no_grad,detach,tracked", "--output", folder / "run",
    )  # fmt: skip
    return SimpleNamespace(site=site, run=folder / "run", gradbench=gradbench)


def test_the_lists_have_the_rows(installed):
    listed = json.loads(installed.gradbench("list", "--json"))
    assert "no_grad_on_a_stack" in [row["name"] for row in listed["methods"]]
    assert "softplus" in [row["name"] for row in listed["workloads"]]
    assert [row["name"] for row in listed["metrics"]][-2:] == ["graph_nodes", "joules"]
    assert "fastest" in [row["name"] for row in listed["exports"]]
    text = installed.gradbench("list").replace("│", " ").split()
    assert {"no_grad_on_a_stack", "softplus", "graph_nodes", "fastest"} <= set(text)


def test_a_run_keeps_the_figures_and_the_facts_of_the_metrics(installed):
    results = read_results(installed.run)
    assert [metric.name for metric in results.header.plan.metrics] == ["graph_nodes", "joules"]
    (comparison,) = summarise(results).comparisons
    nodes = {variant.name: variant.figures["graph_nodes"] for variant in comparison.variants}
    # softplus, and the accumulation of the gradient of x.
    assert nodes.pop("tracked") == 2
    assert nodes == dict.fromkeys(
        [BASELINE, "twin", "twin_own_buffer", "detach", "no_grad", "no_grad_on_a_stack"], 0
    )
    assert comparison.variant("no_grad_on_a_stack").time is not None
    # Without an extension the plan is another one: what was measured is not mixed with what is not.
    assert Remaining(results.header.plan, results).memory == []
    results.figures.pop()
    assert Remaining(results.header.plan, results).memory == [comparison.comparison]


def test_a_metric_that_fails_is_a_failure_and_no_figure(installed):
    results = read_results(installed.run)
    (failure,) = results.failures
    assert (failure.number, failure.variant, failure.stage, failure.kind) == (
        0, "detach", "metric joules", "raised",
    )  # fmt: skip
    assert failure.message == "ValueError: not of this one"
    (comparison,) = summarise(results).comparisons
    assert "joules" not in comparison.variant("detach").figures
    assert comparison.variant("tracked").figures["joules"] == 0.5
    assert comparison.variant("detach").time is not None


def test_the_page_shows_all_of_it(installed):
    page = (installed.run / "report.html").read_text()
    for shown in (
        "no_grad() on an ExitStack",
        "softplus(x)",
        "Apply an activation",
        "Under no_grad() a result has no graph",
        'title="Nodes of the graph that one call leaves.">nodes</th>',
        "0.5 J",
        "ValueError: not of this one",
    ):
        assert shown in page, shown


def test_a_claim_is_judged(installed):
    judged = json.loads(installed.gradbench("claims", installed.run, "--id", "example.no_nodes", "--json"))
    assert "supported" in json.dumps(judged)
    assert "0 nodes at 100 elements" in json.dumps(judged)


def test_the_exports_have_the_figures_and_the_form(installed):
    lines = installed.gradbench("export", installed.run, "--to", "fastest").splitlines()
    assert [line.partition(":")[0] for line in lines] == ["softplus/100/float32/cpu"]
    rows = [line.split(",") for line in installed.gradbench("export", installed.run).splitlines()]
    figures = {row[1]: row[7:9] for row in rows if row[6] == "graph_nodes"}
    assert figures["tracked"] == ["1", "2.0"]
    assert {row[1]: row[8] for row in rows if row[6] == "joules"}["detach"] == ""


def test_where_the_package_is_not_installed_the_file_still_says_it(installed, tmp_path, call):
    assert extension.extensions() == {}
    assert "graph_nodes,1,2.0" in call("export", installed.run)[1]
    code, _, err = call("report", installed.run, "--output", tmp_path / "page.html")
    assert code == 0, err
    assert "no_grad() on an ExitStack" in (tmp_path / "page.html").read_text()
    assert call("run", "--resume", "--passes", "3", "--output", installed.run)[0] == 2


def test_asv_follows_the_rows(installed, tmp_path):
    code = (
        "import json; from benchmarks import cells, interleaved\n"
        "print(json.dumps([interleaved.Added.params, interleaved.Controls.params[1],"
        " hasattr(interleaved.Added, 'track_graph_nodes'), hasattr(interleaved.Added, 'track_joules')]))"
    )
    done = call(installed.site, sys.executable, "-c", code, cwd=tmp_path)
    (added, variants), controls, followed, not_followed = json.loads(done.out)
    assert added == ["softplus/100"]
    assert {"no_grad_on_a_stack", "tracked", BASELINE} <= set(variants)
    assert controls[-1] == "no_grad_on_a_stack"
    assert (followed, not_followed) == (True, False)
    rows = installed.gradbench("export", installed.run)
    code = (
        "import sys; from benchmarks import interleaved\n"
        "table, suite = interleaved.by_cell(sys.argv[1]), interleaved.Added()\n"
        "print(suite.track_graph_nodes(table, 'softplus/100', 'tracked'))"
    )
    done = call(installed.site, sys.executable, "-c", code, rows, cwd=tmp_path)
    assert done.out.split() == ["2.0"], done.err


def test_pytest_has_the_cells(installed, tmp_path):
    done = call(
        installed.site, sys.executable, "-m", "pytest", ROOT / "tests" / "benchmark", "--rootdir", ROOT,
        "--benchmark-only", "-p", "no:cacheprovider", "-q", "-k", "softplus and no_grad_on_a_stack",
        f"--benchmark-json={tmp_path / 'made.json'}", "-n", "0", cwd=ROOT,
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    (cell,) = json.loads((tmp_path / "made.json").read_text())["benchmarks"]
    assert cell["params"]["workload"] == "softplus"
    assert (cell["extra_info"]["graph_nodes"], cell["extra_info"]["joules"]) == (0, 0.5)


def method(name):
    return Method(name, name, "s", "e", "https://x.y/", "1.0", "y = WORK(x)", None)


@pytest.mark.parametrize(
    ("rows", "table", "why"),
    [
        ({"methods": (method("no_grad"),)}, methods, "'no_grad' in its methods is a name that gradbench has"),
        ({"methods": (method("twin"),)}, methods, "'twin' in its methods is a name that gradbench has"),
        ({"methods": (method("a"), method("a"))}, methods, "'a' twice in its methods"),
        ({"methods": (method("a,b"),)}, methods, "methods have names of letters"),
        ({"methods": ("tracked",)}, methods, "expected methods that are a Method; got str"),
        ({"workloads": (Workload("chain", "t", "s", part="new"),)}, workloads, "'chain' in its workloads"),
        ({"workloads": (Workload("model", "t", "s"),)}, workloads, "'model' in its workloads"),
        ({"metrics": (Metric("peak", "B", "l", "m"),)}, metrics, "'peak' in its metrics"),
        ({"claims": (claims()[0],)}, claims, "in its claims is a name that gradbench has"),
        ({"exports": (forms()[0],)}, forms, "'csv' in its exports"),
        (
            {"exports": form("csv").__class__("mine", "e", str)},
            forms,
            "expected exports in a tuple; got Form",
        ),
        ({"metrics": (Metric("joules", "J", "l", "m"),)}, metrics, "the metric joules: expected measure"),
        (
            {"workloads": (Workload("w", "t", "s", alternatives=(Alternative("a", "l", "e"),)),)},
            workloads,
            "expected a baseline among its alternatives, a; got requires_grad_false",
        ),
    ],
)
def test_a_row_that_cannot_stand_in_a_table_is_refused(monkeypatch, rows, table, why):
    monkeypatch.setattr(extension, "extensions", lambda: {"mine": Extension(**rows)})
    with pytest.raises(RequestError, match=re.escape(why)):
        table()


def test_two_packages_with_one_name_are_refused(monkeypatch):
    both = {"one": Extension(methods=(method("a"),)), "two": Extension(methods=(method("a"),))}
    monkeypatch.setattr(extension, "extensions", lambda: both)
    with pytest.raises(RequestError, match=r"the package two: 'a' in its methods is a name that one has"):
        methods()


def test_rows_come_after_those_of_gradbench_and_are_chosen_by_name(monkeypatch):
    own = methods()
    added = Extension(methods=(method("a"),), exports=(form("csv").__class__("mine", "e", str),))
    monkeypatch.setattr(extension, "extensions", lambda: {"mine": added})
    assert methods() == (*own, method("a"))
    assert form("mine").write is str


def test_a_claim_whose_question_fails_is_open_and_says_why():
    def fails(summary):
        raise ValueError("no such workload")

    claim = Claim("mine", "It holds.", "https://x.y/", fails, "none")
    judged = judge_claim(claim, None)
    assert judged.verdict == "unresolved"
    assert "ValueError: no such workload" in judged.evidence


def test_a_form_that_fails_is_an_error_in_a_line(tmp_path):
    source = (
        "from gradbench.extension import Extension\nfrom gradbench.report.export import Form\n"
        "EXTENSION = Extension(exports=(Form('bad', 'Fails.', lambda analysis: 1 / 0),))\n"
    )
    install(tmp_path, "broken-package", "broken", source)
    sample = ROOT / "tests" / "samples" / "schema2" / "results.jsonl"
    done = call(tmp_path, GRADBENCH, "export", sample, "--to", "bad", cwd=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--to bad: the form failed: ZeroDivisionError" in done.err


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("import nothing_of_that_name", "EXTENSION", "ModuleNotFoundError: No module named"),
        ("", "EXTENSION", "AttributeError: "),
        ("import sys\nsys.exit(3)", "EXTENSION", "cannot be loaded: SystemExit: 3"),
        ("EXTENSION = 1", "EXTENSION", "expected broken:EXTENSION to be an Extension; got int"),
    ],
)  # fmt: skip
def test_a_package_at_fault_is_named_in_a_line(tmp_path, source, target, why, monkeypatch):
    """As its entry point is loaded; the next test has the whole command."""
    install(tmp_path, "broken-package", "broken", source, target)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    with pytest.raises(RequestError) as refused:
        # Not from what this process has found before.
        extension.extensions.__wrapped__()
    assert str(refused.value).startswith("the extension of the package broken-package: ")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    sys.modules.pop("broken", None)


def test_a_package_at_fault_stops_what_needs_its_rows_and_nothing_else(tmp_path):
    install(tmp_path, "broken-package", "broken", "import sys\nsys.exit(3)")
    done = call(tmp_path, GRADBENCH, "list", cwd=tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("gradbench: error: the extension of the package broken-package: ")
    done = call(tmp_path, GRADBENCH, "export", "--help", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    done = call(tmp_path, GRADBENCH, "run", "--output", tmp_path / "run", cwd=tmp_path)
    assert done.code == 2
    assert not (tmp_path / "run" / FILENAME).exists()


def test_a_claim_that_cannot_stand_ends_a_run_before_it_measures(tmp_path):
    source = "from gradbench.analyse.claims import CLAIMS\nfrom gradbench.extension import Extension\n"
    install(tmp_path, "claims-again", "claims_again", f"{source}EXTENSION = Extension(claims=CLAIMS[:1])")
    done = call(tmp_path, GRADBENCH, "run", "--workload", "control", "--output", "run", cwd=tmp_path)
    assert done.code == 2
    assert "in its claims is a name that gradbench has already" in done.err
    assert not (tmp_path / "run").exists()
