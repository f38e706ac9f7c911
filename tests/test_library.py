"""What notebooks and scripts call: known ratios are found, nothing is told that is not shown, state stays."""

import builtins
import csv
import doctest
import importlib
import io
import math
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import msgspec
import numpy
import pytest
import torch
from scipy.special import stdtrit
from simulated import Simulated

import gradbench
from gradbench.errors import RequestError, ResultsFileError
from gradbench.guard import calls as guard_calls
from gradbench.guard import interleave
from gradbench.guard import time as guard_time
from gradbench.guard.interleave import BLOCKS, Interleaved
from gradbench.library import run as library_run
from gradbench.library.comparison import Comparison, Row
from gradbench.library.modules import Modules
from gradbench.measure import clock as device_clock
from gradbench.record.anatomy import Kept
from gradbench.record.interval import Interval
from gradbench.report.export.tidy_csv import to_csv

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "tests" / "samples" / "schema2"
RUN = SAMPLES / "results.jsonl"


@pytest.fixture(autouse=True)
def _pictures_without_a_screen():
    from matplotlib import pyplot

    matplotlib.use("Agg")
    yield
    pyplot.close("all")


def nothing():
    """What is called where the clock is made up."""


def compare_simulated(
    monkeypatch, costs, *, scatter=0.001, twin=1.0, empty=0.001, rounds=400, seed=0, **asked
):
    """Compare functions whose calls take so many times as long as the first, which is the baseline.

    No clock is read: neighbouring rounds share most of what disturbs them, as on a real machine.
    """
    rng = numpy.random.default_rng(seed)
    base, *others = costs.values()
    truth = numpy.array([*others, base, base * twin, 0.0]) + empty

    class MadeUp(Interleaved):
        def __init__(self, *makers, **_):
            assert len(makers) == len(truth)
            self.times = []

        def take(self, wanted, until):
            assert wanted > rounds
            shared = rng.normal(0, scatter, (rounds // 8 + 1, len(truth))).repeat(8, axis=0)[:rounds]
            noise = numpy.exp(shared + rng.normal(0, scatter, (rounds, len(truth))))
            self.times += (1000 * truth * noise).tolist()
            return False

    monkeypatch.setattr(guard_time, "Interleaved", MadeUp)
    return gradbench.compare(dict.fromkeys(costs, nothing), bytes=False, **asked)


# What is told of times.


def test_a_known_ratio_is_found_and_stands_in_the_sentence(monkeypatch):
    slower = compare_simulated(monkeypatch, {"a": 1.0, "b": 1.3})
    assert slower["b"].ratio.mean == pytest.approx(1.3, rel=0.005)
    assert slower["b"].ratio.low < 1.3 < slower["b"].ratio.high
    assert slower["b"].verdict == "slower"
    assert slower["a"].seconds == pytest.approx(1e-6, rel=0.01)
    assert slower["b"].seconds == pytest.approx(1.3e-6, rel=0.01)
    assert slower.sentence.startswith("b takes 30 % more time than a (")
    faster = compare_simulated(monkeypatch, {"a": 1.0, "b": 0.5})
    assert faster["b"].verdict == "faster"
    assert faster.sentence.startswith("b takes 50 % less time than a (")
    far = compare_simulated(monkeypatch, {"a": 1.0, "b": 7.0})
    assert far.sentence.startswith("b takes 7.0")
    assert far.sentence.endswith(") times as long as a.")


@pytest.mark.parametrize("scatter", [0.001, 0.01, 0.05, 0.2])
def test_identical_functions_are_not_told_apart_however_noisy(monkeypatch, scatter):
    for seed in range(60):
        found = compare_simulated(
            monkeypatch, dict.fromkeys("abcd", 1.0), scatter=scatter, seed=seed, seconds=0.1
        )
        assert {row.verdict for row in found.rows} <= {"baseline", "same", "cannot tell"}
        assert found.fastest is None
        assert found.unbeaten == tuple("abcd")
        assert found.sentence.startswith("No difference is measurable: ")
        assert "the fastest" not in found.sentence


def test_intervals_of_four_alternatives_are_corrected_for_the_pairs(monkeypatch):
    """Ten blocks about 1.1, whose interval of 99 % is beyond the margin, and that of 99.9 % is not."""
    error = 0.02
    once, of_ten_pairs = (float(stdtrit(BLOCKS - 1, 1 - 0.01 / pairs / 2)) for pairs in (1, 10))
    assert 1.1 - once * error > 1.02 > 1.1 - of_ten_pairs * error
    deviation = error * math.sqrt(BLOCKS - 1)
    ratios = [1.1 + sign * deviation for sign in (1, -1) * (BLOCKS // 2)]

    class Fixed(Interleaved):
        def __init__(self, *makers, **_):
            more = len(makers) - 4
            self.times = [[1000 * ratio, *[1000.0] * more, 1000.0, 1000.0, 0.0] for ratio in ratios]

        def take(self, wanted, until):
            return False

    monkeypatch.setattr(guard_time, "Interleaved", Fixed)
    pair = two(bytes=False, seconds=0.1)
    five = gradbench.compare(dict.fromkeys("abcde", nothing), bytes=False, seconds=0.1)
    assert pair["b"].ratio == five["b"].ratio
    assert pair["b"].ratio.high - pair["b"].ratio.mean == pytest.approx(stdtrit(BLOCKS - 1, 0.975) * error)
    assert (pair["b"].verdict, five["b"].verdict) == ("slower", "cannot tell")


def test_a_difference_that_identical_code_shows_as_well_is_none(monkeypatch):
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 1.1})["b"].verdict == "slower"
    found = compare_simulated(monkeypatch, {"a": 1.0, "b": 1.1}, twin=1.1)
    assert found.floor == pytest.approx(0.1, rel=0.05)
    assert found["b"].verdict == "cannot tell"
    alike = compare_simulated(monkeypatch, {"a": 1.0, "b": 1.0}, twin=1.1)
    assert alike["b"].verdict == "cannot tell"
    assert "Identical code differed by 10 %" in alike.sentence


def test_the_margin_is_what_is_called_none(monkeypatch):
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 1.1}, margin=0.2)["b"].verdict == "same"
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 1.1}, margin=0.05)["b"].verdict == "slower"


def test_a_difference_of_less_than_an_empty_call_is_none(monkeypatch):
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 1.2}, empty=0.2)["b"].verdict == "cannot tell"
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 1.4}, empty=0.2)["b"].verdict == "slower"
    assert compare_simulated(monkeypatch, {"a": 1.0, "b": 0.9}, empty=0.2)["b"].verdict == "cannot tell"


def test_what_takes_no_time_of_its_own_is_given_none(monkeypatch):
    found = compare_simulated(monkeypatch, {"a": 1.0, "b": 0.0})
    assert found["b"].verdict == "faster"
    assert found.sentence == "b takes no more time than an empty call, and less than a."
    assert "at most 0.0" in str(found)
    both = compare_simulated(monkeypatch, {"a": 1.0, "b": 0.0, "c": 0.0})
    assert both.fastest is None
    assert compare_simulated(monkeypatch, {"a": 1.0, "c": 0.7, "b": 0.0}).fastest == "b"
    assert min(both["b"].ratio.low, both["b"].ratio.mean, both["b"].seconds) >= 0


def test_a_fastest_is_named_only_where_it_is_told_apart_from_every_other(monkeypatch):
    clear = compare_simulated(monkeypatch, {"a": 1.0, "b": 0.5, "c": 0.7, "d": 1.0})
    assert (clear.fastest, clear.unbeaten) == ("b", ("b",))
    assert clear.sentence.endswith("d takes the same time within 2 %. b is the fastest.")
    open_ = compare_simulated(monkeypatch, {"a": 1.0, "b": 0.5, "c": 0.5})
    assert (open_.fastest, open_.unbeaten) == (None, ("b", "c"))
    assert open_.sentence.endswith("b and c tie for the fastest.")
    base = compare_simulated(monkeypatch, {"a": 1.0, "b": 1.5, "c": 1.7})
    assert base.sentence.endswith("a is the fastest.")


@pytest.mark.parametrize("seed", range(40))
def test_the_sentence_says_what_the_table_says(monkeypatch, seed):
    rng = numpy.random.default_rng(seed)
    costs = {"a": 1.0, **{name: float(rng.choice([0.6, 0.98, 1.0, 1.01, 1.03, 1.5, 3.0])) for name in "bcd"}}
    found = compare_simulated(
        monkeypatch, costs, scatter=float(rng.choice([0.001, 0.02])), seed=seed, seconds=0.1
    )
    verdicts = {row.name: row.verdict for row in found.rows}
    for row in found.rows[1:]:
        if row.verdict == "faster":
            assert row.ratio.high < 1
        if row.verdict == "slower":
            assert row.ratio.low > 1
        if row.verdict == "same":
            assert row.ratio.low >= 1 / 1.02
            assert row.ratio.high <= 1.02
    differing = {"faster", "slower"} & set(verdicts.values())
    assert found.sentence.startswith("No difference is measurable") == (not differing)
    if found.fastest is not None:
        assert costs[found.fastest] == min(costs.values())
        assert verdicts[found.fastest] in ("faster", "baseline")
        assert found.unbeaten == (found.fastest,)
        assert f"{found.fastest} is the fastest." in found.sentence
    else:
        assert "is the fastest." not in found.sentence
    assert ("same time" in found.sentence) == ("same" in verdicts.values())
    if re.search(r"ties? with a\.", found.sentence):
        assert "cannot tell" in verdicts.values()


def test_where_too_few_rounds_fit_there_is_no_interval_and_no_verdict():
    found = gradbench.compare(
        {"a": lambda: time.sleep(0.02), "b": lambda: time.sleep(0.001)}, seconds=0.05, bytes=False
    )
    assert (found.rounds, found.floor, found.same) == (0, None, None)
    assert (found["b"].ratio.low, found["b"].ratio.high, found["b"].verdict) == (None, None, "cannot tell")
    assert found.sentence.startswith("No difference is measurable: ")
    assert "allow more time with seconds=" in found.sentence
    assert str(found)


def test_the_order_of_the_dict_is_kept_and_a_baseline_can_be_named(monkeypatch):
    found = gradbench.compare(dict.fromkeys("zya", nothing), seconds=0.05, baseline="y", bytes=False)
    assert [row.name for row in found.rows] == ["z", "y", "a"]
    assert [row.verdict == "baseline" for row in found.rows] == [False, True, False]
    assert found["y"].ratio is None
    with pytest.raises(KeyError, match="expected the name of a row; got 'no'; give one of z, y, a"):
        found["no"]


def test_setup_feeds_each_call():
    fed = []
    gradbench.compare({"a": fed.append, "b": fed.append}, setup=lambda: 7, seconds=0.05, bytes=False)
    assert len(fed) > 4
    assert set(fed) == {7}


def test_the_same_function_twice_in_turns_on_the_real_clock_is_well_formed():
    found = gradbench.compare({"a": nothing, "b": nothing}, seconds=0.05, seed=1, bytes=False)
    assert found.rounds > 0
    assert found.seconds < 5
    assert found["b"].ratio.count == BLOCKS


# Errors.


def failing(after):
    calls = iter(range(after))

    def function():
        if next(calls, None) is None:
            raise ZeroDivisionError("no more")

    return function


@pytest.mark.parametrize("after", [0, 1, 50])
def test_a_function_that_raises_is_a_row_with_its_error_and_not_the_end(after):
    found = gradbench.compare({"a": nothing, "b": failing(after), "c": nothing}, seconds=0.1, bytes=False)
    assert (found["b"].verdict, found["b"].error) == ("failed", "ZeroDivisionError: no more")
    assert (found["b"].seconds, found["b"].ratio) == (None, None)
    assert found["c"].ratio.low is not None
    assert found.sentence.endswith("b raised ZeroDivisionError: no more.")
    assert "b" not in found.unbeaten


def test_a_function_that_raised_is_not_called_again():
    calls = []

    def function():
        calls.append(1)
        if len(calls) >= 50:
            raise ZeroDivisionError

    gradbench.compare({"a": nothing, "b": function}, seconds=0.1)
    assert len(calls) == 50


def test_where_all_but_the_baseline_raise_nothing_is_compared():
    found = gradbench.compare({"a": nothing, "b": failing(0)}, seconds=0.05, bytes=False)
    assert found.sentence.startswith("No comparison: no function besides a could be timed.")
    assert found["a"].seconds is not None


@pytest.mark.parametrize("after", [0, 50])
def test_what_the_baseline_raises_is_raised(after):
    with pytest.raises(ZeroDivisionError, match="no more"):
        gradbench.compare({"a": failing(after), "b": nothing}, seconds=0.1, bytes=False)


def test_a_baseline_that_raises_at_first_is_not_believed_later():
    calls = []

    def once():
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gradbench.compare({"a": once, "b": nothing}, seconds=0.1, bytes=False)


@pytest.mark.parametrize("after", [0, 50])
def test_an_interrupt_is_no_error_of_a_function(after):
    calls = iter(range(after))

    def interrupted():
        if next(calls, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gradbench.compare({"a": nothing, "b": interrupted}, seconds=0.1, bytes=False)


def two(**asked):
    return gradbench.compare(dict.fromkeys("ab", nothing), **asked)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gradbench.compare([nothing]), TypeError, "expected functions to be a dict of"),
        (lambda: gradbench.compare({"a": nothing}), ValueError, "expected two functions or more; got 1"),
        (lambda: gradbench.compare({1: nothing, "b": nothing}), TypeError, "expected names to be strings"),
        (lambda: gradbench.compare({"a": nothing, "b": 3}), TypeError, "'b' to be callable; got 3"),
        (
            lambda: two(baseline="c"),
            ValueError,
            "expected baseline to name a function; got 'c'; give one of a, b",
        ),
        (
            lambda: two(baseline=["c"]),
            ValueError,
            "expected baseline to name a function",
        ),
        (lambda: gradbench.compare({"a": nothing, "b": torch.rand(50)}), TypeError, "'b' to be callable"),
        (lambda: gradbench.compare(torch.rand(50)), TypeError, "expected functions to be a dict of"),
        (lambda: two(baseline=torch.rand(50)), ValueError, "expected baseline to name a function"),
        (lambda: two(seconds=torch.rand(50)), TypeError, "expected seconds to be a number"),
        (lambda: gradbench.load(torch.rand(50)), TypeError, "expected the path of a results file"),
        (lambda: two(setup=1), TypeError, "expected setup to be"),
        (lambda: two(seconds=0), ValueError, "expected seconds of"),
        (lambda: two(margin=0.001), ValueError, "margin of at least"),
        (lambda: two(bytes="no"), TypeError, "expected bytes to be"),
        (lambda: two(device="mps"), ValueError, "expected a device"),
        (lambda: gradbench.bytes(3), TypeError, "expected function to be callable; got 3"),
        (lambda: gradbench.bytes(nothing, setup=3), TypeError, "expected setup to be callable; got 3"),
        (lambda: gradbench.bytes(nothing, device="mps"), ValueError, "expected a device of cpu or cuda"),
        (lambda: gradbench.model(3, 4), TypeError, "expected module to be a torch.nn.Module; got int"),
        (lambda: gradbench.model(torch.nn.Linear, 4), TypeError, "got the class Linear; call it once"),
        (lambda: gradbench.model(torch.nn.ReLU(), 4), ValueError, "expected a parameter that requires"),
        (lambda: gradbench.model(torch.nn.LazyLinear(3), 4), ValueError, "its first call makes; call it"),
        (lambda: gradbench.model(linear(), rows(), loss=3), TypeError, "expected loss to be callable"),
        (lambda: gradbench.model(linear(), rows(), call=3), TypeError, "expected call to be callable"),
        (lambda: gradbench.model(linear(), rows(), seconds=0), ValueError, "expected seconds of at least"),
        (
            lambda: gradbench.model(linear(), rows(), call=lambda m, x: m(x).detach()),
            ValueError,
            "expected a result that requires gradients, since parameters do",
        ),
        (
            lambda: gradbench.model(linear(), rows(), call=lambda m, x: "text"),
            TypeError,
            "expected the module to return tensors; got str",
        ),
        (
            lambda: gradbench.model(linear(), rows(), loss=lambda y: y, seconds=0.2),
            ValueError,
            "expected loss to return one number; got the shape",
        ),
        (
            lambda: gradbench.model(linear(), rows(), loss=lambda y: 3.0, seconds=0.2),
            TypeError,
            "expected loss to return a tensor; got float",
        ),
        (
            lambda: gradbench.model(linear(), rows(), loss=lambda y: y.detach().sum(), seconds=0.2),
            ValueError,
            "expected the loss to require gradients",
        ),
        (lambda: gradbench.load(3), TypeError, "expected the path of a results file or its folder; got 3"),
        (lambda: gradbench.load("no/such"), RequestError, "expected a results file or the folder of a run"),
        (
            lambda: gradbench.load(RUN).plot("contrl/100"),
            ValueError,
            "expected the id of a comparison; got 'contrl/100'; give one of `ids`, such as control/100",
        ),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_one_clear_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# Bytes: 100 elements of float32 are 400; x * x saves x, exp saves its result.
x = torch.rand(100, requires_grad=True)


def recorded():
    return (x * x).exp()


def not_recorded():
    with torch.no_grad():
        return (x * x).exp()


def test_bytes_are_equal_to_arithmetic():
    found = gradbench.bytes(recorded)
    assert found.figures == {"allocated": 800, "peak": 800, "retained": 400, "saved": 800}
    assert "saves 800 B for a backward" in found.sentence
    assert "no graph saves anything" in gradbench.bytes(not_recorded).sentence
    assert gradbench.bytes(lambda made: made.exp(), setup=lambda: torch.rand(10)).allocated == 40
    both = gradbench.compare({"recorded": recorded, "no_grad": not_recorded}, seconds=0.05)
    assert both["recorded"].bytes == found
    assert both["no_grad"].bytes.figures == {"allocated": 800, "peak": 800, "retained": 400, "saved": 0}


def test_what_no_hook_sees_is_a_dash_and_no_nothing():
    found = gradbench.bytes(lambda: torch.func.grad(lambda at: at.sin().sum())(torch.rand(10)))
    assert found.saved is None
    assert "bytes saved for a backward are not visible" in found.sentence
    assert re.search(r"^saved +– ", str(found), re.MULTILINE)
    assert found.to_pandas()["saved"].isna().all()


def test_what_each_call_leaves_behind_and_what_the_call_before_left_are_shown():
    kept = []
    found = gradbench.bytes(lambda: kept.append(torch.rand(100)))
    assert "A call leaves 400 B behind" in found.sentence
    assert re.search(r"^left +400 ", str(found), re.MULTILINE)
    assert found.to_pandas()["left"].tolist() == [400]
    compared = gradbench.compare({"a": lambda: kept.append(torch.rand(100)), "b": nothing}, seconds=0.05)
    assert "A call of a leaves 400 B behind" in str(compared)
    standing = msgspec.structs.replace(found, standing=800, left=0)
    assert "800 B of gradients that the call before left" in standing.sentence
    assert re.search(r"^standing +800 ", str(standing), re.MULTILINE)
    assert "left" not in [row[0] for row in gradbench.bytes(recorded).table.rows]


def test_the_largest_module_is_not_called_most_of_what_is_kept():
    kept = tuple(
        Kept(name, size, "activation", "add", (size // 4,), "float32")
        for name, size in (("a", 400), ("b", 320), ("c", 320))
    )
    assert Modules(kept, True).sentence == (
        "A training step keeps 1,040 B of activations for the backward; the largest: a with 400 B."
    )


def test_of_one_that_nothing_beats_it_is_not_asked_which_is_the_fastest():
    rows = (
        Row("a", 1.0, None, "baseline"),
        Row("b", 0.5, Interval(0.5, 0.4, 0.6, 9), "faster"),
        Row("c", 0.6, Interval(0.6, 0.5, 0.7, 9), "faster"),
    )
    found = Comparison(rows, "a", None, ("b",), 0.01, 0.01, 0.001, 0.1, 100, 1.0, False)
    assert found.sentence.endswith(" No function is shown to be faster than b.")
    assert msgspec.structs.replace(found, unbeaten=("b", "c")).sentence.endswith(
        " b and c tie for the fastest."
    )


def test_bytes_that_cannot_be_had_are_none_with_the_reason():
    def other_each_time():
        return torch.empty(random.randrange(1, 10**6))

    found = gradbench.compare({"a": recorded, "b": other_each_time}, seconds=0.05)
    assert found["b"].bytes is None
    assert found["b"].why_no_bytes.startswith("Unrepeatable: two executions allocated")
    assert found["a"].bytes is not None
    assert "Bytes of b are not known: Unrepeatable" in str(found)
    assert found["b"].seconds > 0


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_functions_without_torch_are_compared_without_loading_it():
    said = run_python(
        "import sys, gradbench\n"
        "found = gradbench.compare({'a': lambda: sum((1, 2)), 'b': lambda: sum((1, 2))}, seconds=0.05)\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
        "assert 'matplotlib' not in sys.modules\n"
        "print(found['a'].bytes, found['a'].why_no_bytes)"
    )
    assert said == "None torch is not loaded in this process\n"


# Tables, frames and plots.


def test_a_frame_has_every_figure_unscaled_and_gaps_where_nothing_is_known():
    found = gradbench.compare({"a": recorded, "b": failing(0), "c": not_recorded}, seconds=0.05)
    table = found.to_pandas()
    assert list(table["name"]) == ["a", "b", "c"]
    assert list(table["saved"].isna()) == [False, True, False]
    assert table["saved"][0] == 800
    assert table["saved"].dtype == "Int64"
    assert table["ratio"].isna().tolist() == [True, True, False]
    assert table["seconds"][0] == found["a"].seconds
    assert table["low"][2] == found["c"].ratio.low
    assert gradbench.bytes(recorded).to_pandas()["peak"].tolist() == [800]
    unknown = gradbench.compare({"a": nothing, "b": failing(0)}, seconds=0.05, bytes=False).to_pandas()
    assert list(unknown.dtypes) == list(table.dtypes)
    assert unknown["low"].dtype == "float64"


@pytest.mark.parametrize("what", [lambda: gradbench.load(RUN), lambda: gradbench.bytes(recorded)])
def test_without_pandas_a_line_says_how_to_get_it(monkeypatch, what):
    found = what()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas") as caught:
        found.to_pandas()
    assert "\n" not in str(caught.value)


def test_a_plot_has_a_row_for_each_ratio(monkeypatch):
    from matplotlib import pyplot

    found = compare_simulated(monkeypatch, {"a": 1.0, "b": 1.3, "c": 0.5})
    axes = found.plot()
    axes.figure.canvas.draw()
    assert [each.get_text() for each in axes.get_yticklabels()] == ["b", "c"]
    assert axes.get_xlabel() == "time ÷ time of a"
    _, mine = pyplot.subplots()
    assert found.plot(mine) is mine


def test_a_plot_has_a_row_for_what_raised():
    axes = gradbench.compare({"a": nothing, "b": failing(0)}, seconds=0.05, bytes=False).plot()
    axes.figure.canvas.draw()
    assert [each.get_text() for each in axes.get_yticklabels()] == ["b"]


def test_a_table_in_a_notebook_has_no_colours_of_its_own_and_escapes_names():
    found = gradbench.compare({"<b>a</b>": nothing, "b & c": failing(0)}, seconds=0.05, bytes=False)
    page = found._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "b &amp; c raised ZeroDivisionError" in page
    assert "#" not in page
    assert '<table style="color: inherit;' in page
    assert page.count("<tr>") == 3
    assert str(found) == repr(found)
    assert str(found).startswith(found.sentence)
    assert "allocated" not in page


# Modules.


def linear():
    return torch.nn.Linear(8, 4)


def rows():
    return torch.rand(2, 8)


def test_the_bytes_of_a_module_are_equal_to_arithmetic_under_each_control():
    """Linear, Tanh, Linear on 2 rows; saved: input, weights but the first's, and Tanh's result; then mean."""
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    report = gradbench.model(module, rows(), loss=lambda y: y.mean(), seconds=0.4)
    of = {row.name: row.bytes for row in report.evaluation.rows}
    # The input 2 × 8, Tanh's result 2 × 16, and the second weight 1 × 16.
    assert of["tracked"].saved == 4 * (16 + 32 + 16)
    assert of["tracked"].retained == 4 * (32 + 2)
    for name in ("requires_grad_false", "no_grad", "inference_mode"):
        assert (of[name].saved, of[name].retained) == (0, 4 * 2)
    assert report.differing == {}
    assert report.training.forward.bytes.saved == of["tracked"].saved
    assert report.training.step.bytes.retained == 0
    # Module by module the same, and by arithmetic of shapes elsewhere.
    assert report.modules.saved == report.training.forward.bytes.saved
    assert report.modules.sentence in report.sentence
    assert sum(report.modules.to_pandas()["bytes"]) == report.modules.saved
    assert report.training.backward.seconds > 0
    assert f"keeps {4 * 34} B alive" in report.sentence
    assert "A training step without its optimizer takes" in report.sentence
    assert list(report.to_pandas()["part"]) == ["evaluation"] * 4 + ["training"] * 3
    # Of evaluation, training and modules.
    assert report._repr_html_().count("<table") == 3
    assert str(report).startswith(report.sentence)
    report.plot().figure.canvas.draw()
    report.training.plot().figure.canvas.draw()
    assert gradbench.model(linear(), rows(), seconds=0.2).training is None


class Counting(torch.nn.Module):
    """Has batch statistics, dropout, a frozen part, and a count of its own calls."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 8)
        self.norm = torch.nn.BatchNorm1d(8)
        self.drop = torch.nn.Dropout()
        self.last = torch.nn.Linear(8, 1)
        self.first.requires_grad_(False)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        random.random()
        numpy.random.rand()
        return self.last(self.drop(self.norm(self.first(x))))


def test_a_module_is_left_as_it_was():
    module, given = Counting(), rows().requires_grad_()
    given.grad = torch.ones(2, 8)
    module.last.eval()
    module.last(torch.rand(1, 8)).sum().backward()
    gradients = [each.grad for each in module.parameters()]
    values = {name: each.clone() for name, each in module.state_dict().items()}
    flags = [each.requires_grad for each in module.parameters()]
    kept = [None if each is None else each.clone() for each in gradients]
    modes = [each.training for each in module.modules()]
    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()

    # A loss that reaches for the module itself, as a penalty on its weights does.
    report = gradbench.model(module, given, loss=lambda y: y.mean() + module.last.weight.norm(), seconds=0.4)

    assert report.training.step.seconds > 0
    assert all(torch.equal(values[name], each) for name, each in module.state_dict().items())
    assert flags == [each.requires_grad for each in module.parameters()]
    assert modes == [each.training for each in module.modules()]
    assert all(one is each.grad for one, each in zip(gradients, module.parameters(), strict=True))
    assert all(
        (one is None and each is None) or torch.equal(one, each)
        for one, each in zip(kept, gradients, strict=True)
    )
    assert torch.equal(given.grad, torch.ones(2, 8))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert numpy.array_equal(states[2][1], numpy.random.get_state()[1])
    assert torch.is_grad_enabled()


def test_a_module_is_left_as_it_was_where_it_raises():
    module = Counting()

    def raises(y):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gradbench.model(module, rows(), loss=raises, seconds=0.2)
    assert module.calls == 0
    assert all(each.grad is None for each in module.parameters())


def test_a_module_is_recorded_also_where_the_caller_switched_that_off():
    with torch.no_grad():
        report = gradbench.model(linear(), rows(), seconds=0.2)
    assert report.evaluation["tracked"].bytes.saved > 0


class Forces(torch.nn.Module):
    """Its forward differentiates, as that of a model of forces does."""

    def __init__(self):
        super().__init__()
        self.energy = torch.nn.Linear(8, 1)

    def forward(self, x):
        x = x.detach().requires_grad_()
        (force,) = torch.autograd.grad(self.energy(x).square().sum(), x, create_graph=self.training)
        return force + 0 * self.energy.weight.sum()


def test_a_control_under_which_a_module_raises_is_a_row_with_its_error():
    report = gradbench.model(Forces(), rows(), seconds=0.2)
    assert report.evaluation["no_grad"].verdict == "failed"
    assert "RuntimeError: element 0 of tensors does not require grad" in report.evaluation["no_grad"].error
    assert report.evaluation["requires_grad_false"].seconds > 0
    assert "no_grad raised RuntimeError" in report.sentence


def test_a_control_that_changes_what_is_computed_is_named():
    class Other(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) * (1 if torch.is_grad_enabled() else 2)

    report = gradbench.model(Other(8, 4), rows(), seconds=0.2)
    assert set(report.differing) == {"no_grad", "inference_mode"}
    assert (
        "Compared with recording, no_grad and inference_mode give values that differ by 1 in the norm."
        in report.sentence
    )


def test_a_random_module_is_not_held_to_compute_other_values():
    class Noise(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.rand(4)

    assert gradbench.model(Noise(8, 4), rows(), seconds=0.2).differing == {}


# On a device, which does later what is issued now.


@pytest.fixture
def device(monkeypatch):
    """A simulated accelerator in the place of torch.cuda, with the clock of its host."""
    made = Simulated()
    host = SimpleNamespace(perf_counter_ns=made.clock, perf_counter=lambda: made.clock() / 1e9)
    for module in (guard_time, guard_calls, interleave):
        monkeypatch.setattr(module, "time", host)
    for name in ("_nothing", "_take_nothing"):
        monkeypatch.setattr(interleave, name, lambda *_: made.work(25))
    monkeypatch.setattr(device_clock.torch, "get_device_module", lambda _: made)
    return made


@pytest.mark.parametrize("named", [None, "cuda", "cuda:0"])
def test_what_a_call_only_issues_is_waited_for_and_its_bytes_are_those_of_the_device(device, named):
    held = device.allocate(1000)

    def work(nanoseconds, size):
        def call():
            device.launch(nanoseconds)
            return device.allocate(size)

        return call

    found = gradbench.compare(
        {"a": work(20_000, 100), "b": work(30_000, 300), "c": work(20_000, 100)}, device=named, seconds=0.1
    )
    assert found["b"].ratio.mean == pytest.approx(1.5, rel=0.03)
    assert [row.verdict for row in found.rows] == ["baseline", "slower", "same"]
    assert (found["b"].bytes.device, found["b"].bytes.peak, found["a"].bytes.peak) == ("cuda:0", 300, 100)
    del held


# Results files.


def test_a_results_file_is_read_into_the_table_that_export_writes():
    run = gradbench.load(RUN)
    table = run.to_pandas()
    lines = list(csv.DictReader(io.StringIO(to_csv(run.analysis))))
    assert list(table.columns) == list(lines[0])
    assert len(table) == len(lines)
    for row, line in zip(table.to_dict("records"), lines, strict=True):
        assert row["method"] == line["method"]
        assert (line["value"] == "") == (row["value"] != row["value"])
        if line["value"]:
            assert row["value"] == float(line["value"])
    assert run.sentence == run.analysis.findings[0].sentence
    assert run.claims == run.analysis.judgements
    assert [each.comparison.id for each in run.comparisons] == run.ids
    assert all(each in run._repr_html_() for each in run.ids)
    drawn = run.plot(run.ids[0])
    drawn.figure.canvas.draw()
    methods = [each.label for each in run.comparisons[0].methods if each.role == "method"]
    assert [each.get_text() for each in drawn.get_yticklabels()] == methods


def test_a_file_of_a_run_that_measured_nothing_yet_says_so(tmp_path):
    header = RUN.read_text().splitlines(keepends=True)[0]
    (tmp_path / "results.jsonl").write_text(header)
    run = gradbench.load(tmp_path)
    assert run.sentence == "No findings: the run measured nothing yet."
    assert run.to_pandas()["value"].isna().all()
    assert run.sentence in run._repr_html_()
    run.plot(run.ids[0]).figure.canvas.draw()


def test_a_file_that_is_none_of_ours_is_one_clear_line(tmp_path):
    (tmp_path / "results.jsonl").write_text("no results\n")
    with pytest.raises(ResultsFileError) as caught:
        gradbench.load(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_trial_of_two_sides_is_read_as_well():
    trial = gradbench.load(SAMPLES / "versus.jsonl")
    assert trial.sentence.startswith("B against A in ")
    table = trial.to_pandas()
    assert list(table["method"]) == [each.name for each in trial.comparisons]
    assert list(table["ratio"]) == [each.ratio.mean for each in trial.comparisons]
    assert trial.claims == ()
    trial.plot().figure.canvas.draw()
    assert "B ÷ A" in str(trial)


def test_a_results_file_is_read_without_torch():
    run_python(
        "import sys, gradbench\n"
        f"run = gradbench.load({str(RUN)!r})\n"
        "run.sentence, run.claims, run.to_pandas(), str(run), run._repr_html_()\n"
        f"gradbench.load({str(SAMPLES / 'versus.jsonl')!r}).to_pandas()\n"
        "assert 'torch' not in sys.modules"
    )


# The package.


def test_the_package_names_what_it_offers_and_nothing_else():
    offered = {*gradbench.__all__, "bytes"}
    assert offered <= set(dir(gradbench))
    assert all(getattr(gradbench, name).__doc__ for name in offered)
    assert gradbench.load is library_run.load
    with pytest.raises(AttributeError, match="module 'gradbench' has no attribute 'compar'"):
        gradbench.compar  # noqa: B018


def test_importing_all_of_it_leaves_the_names_of_python_alone():
    names = {}
    exec("from gradbench import *", names)  # noqa: S102
    assert "compare" in names
    assert not set(dir(builtins)) & (set(names) - {"__builtins__"})


MODULES = sorted(
    f"gradbench.library.{each.stem}"
    for each in (ROOT / "gradbench" / "library").glob("*.py")
    if ">>>" in each.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted > 0
    assert done.failed == 0


def test_every_function_of_the_package_has_an_example():
    assert {name.rpartition(".")[2] for name in MODULES} >= {"bytes", "compare", "model", "run"}
