"""What a user does first: the quick preset, from the command line to the report."""

import csv
import io
from collections import Counter

import pytest

from gradbench.analyse.summary import summarise
from gradbench.define.methods import METHODS
from gradbench.define.planner import plan_run
from gradbench.record.plan import Request
from gradbench.record.results import read_results


@pytest.mark.slow
def test_a_quick_run_measures_everything_and_leaves_a_report(gradbench, tmp_path):
    done = gradbench("run", "--preset", "quick", "--passes", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Where it took longer than a while, it said that it went on.
    assert all(line.startswith("gradbench: pass ") for line in done.stderr.splitlines())
    (folder,) = (tmp_path / "runs").glob("[!.]*")
    results = read_results(folder)
    assert results.failures == []
    plan = results.header.plan.comparisons
    assert {each.id for each in plan} == {each.id for each in plan_run(Request(preset="quick")).comparisons}
    assert {each.method for each in results.observations} == {"", *(method.name for method in METHODS)}
    assert {variant.name for each in plan for variant in each.variants} > {method.name for method in METHODS}
    visits = Counter((visit.number, visit.comparison) for visit in results.visits)
    assert visits == {(number, each.id): 1 for number in (1, 2) for each in plan}
    page = (folder / "report.html").read_text()
    assert all(f'id="{each.workload}"' in page for each in plan)
    assert "Effects of each method on tensors" in page
    assert 'id="failures"' not in page
    table = gradbench("export", cwd=tmp_path)
    times = [row for row in csv.DictReader(io.StringIO(table.stdout)) if row["metric"] == "time"]
    assert len(times) == sum(len(each.variants) - 1 for each in plan)
    # Two passes may leave open whether a flag's time can be told from the empty loop's, and nothing else.
    unknown = [row["method"] for row in times if not row["value"]]
    shown = summarise(results).comparisons
    open_ = [(each, one) for each in shown for one in each.variants if one.verdict == "no time of its own"]
    assert unknown == [one.name for _, one in open_]
    # A control alone is near the empty loop. How many of them stay open is the noise of the machine.
    assert {each.comparison.workload for each, _ in open_} <= {"control"}
