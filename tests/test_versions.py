"""Versions of the user's, held against each other: their plan, a process with them, what is said of them."""

import io
import re
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from synthetic import memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.compare import compare
from gradbench.analyse.versions import version_files, versions_findings
from gradbench.define.versions import plan_versions
from gradbench.errors import RequestError
from gradbench.measure import namespaces, run
from gradbench.measure.goal import Goal
from gradbench.measure.protocol import FileRejected, Task, WorkerSettings
from gradbench.measure.steering import Steering
from gradbench.measure.version_files import inspect_versions
from gradbench.measure.versions import defines_variants, labels, plan_user_versions
from gradbench.measure.worker import Worker
from gradbench.models import leaves_of
from gradbench.record.plan import USER_MODEL, Request
from gradbench.record.results import Options, read_results
from gradbench.record.user_file import FileFacts
from gradbench.record.versions import Agreement, FileText, VersionFacts, VersionsFacts
from gradbench.record.visits import Failure
from gradbench.report.export.tidy_csv import to_csv
from gradbench.report.snippet import snippet

REQUEST = Request((USER_MODEL,), (), (), "cpu", "float32", 0, "quick")
FILE = """\
import torch
from parts import WIDTH, make

x = torch.rand(4, 8)
model = make()


def call(model, x):
    # As many do: not before it is needed.
    import late

    assert late.WIDTH == WIDTH
    return model(x)


def loss(y):
    return y.square().mean()
"""
PARTS = """\
import torch
WIDTH = {width}
def make():
    return torch.nn.Linear(8, WIDTH, bias=False)
"""
DICT = """\
import torch
from torch import nn

x = torch.rand(4, 8)
plain = nn.Linear(8, 8)


def fast(x):
    return nn.functional.linear(x, plain.weight, plain.bias)


variants = {"plain": plain, "fast": fast}


def loss(y):
    return y.sum()
"""


def version(name, **changes):
    known = VersionFacts(
        shape=(4, 8),
        dtype="float32",
        device="cpu",
        result="float32",
        coarsest="float32",
        parameters=72,
        trained=72,
        calls=False,
        trains=True,
        repeats=True,
        name=name,
        module=True,
        records=True,
        forward=1e-4,
        step=3e-4,
    )
    return msgspec.structs.replace(known, **changes)


def plan_of(*changes, names=("a.py", "b.py"), files=None, x_requires_grad=False):
    changes = changes or ({},) * len(names)
    versions = tuple(version(name, **each) for name, each in zip(names, changes, strict=True))
    files = files or [FileText(name, f"x = {name!r}\n") for name in names]
    return plan_versions(files, VersionsFacts(versions, 0.1, x_requires_grad), REQUEST)


def parts(plan):
    return {each.part: each for each in plan.comparisons}


def test_the_first_file_is_the_baseline_and_each_other_a_variant_with_its_own_text():
    plan = plan_of()
    assert list(parts(plan)) == ["evaluation", "recorded", "step"]
    for each in plan.comparisons:
        assert {variant.name: variant.role for variant in each.variants} == {
            "a.py": "baseline", "twin": "twin", "twin_own_buffer": "twin_own_buffer", "b.py": "method",
            "empty": "empty",
        }  # fmt: skip
        assert {variant.name: variant.file for variant in each.variants} == {
            "a.py": "a.py", "twin": "a.py", "twin_own_buffer": "a.py", "b.py": "b.py", "empty": "",
        }  # fmt: skip
        for variant in each.variants[:-1]:
            assert f"x = {variant.file!r}" in each.inputs(variant)
            assert "torch.manual_seed(0)" in each.inputs(variant)


def test_evaluation_is_unrecorded_and_in_evaluation_mode_and_the_other_parts_are_as_the_file_says():
    found = parts(plan_of({}, {"calls": True}))
    for variant in found["evaluation"].variants[:-1]:
        assert ".eval()" in variant.setup
        assert variant.statement.startswith("with torch.no_grad():")
    for part in ("recorded", "step"):
        assert not any("eval()" in variant.setup for variant in found[part].variants)
    called = {variant.name: variant.statement for variant in found["recorded"].variants}
    assert (called["a.py"], called["b.py"]) == ("y = model(x)", "y = call(model, x)")


def test_training_is_left_out_where_one_file_has_no_loss_and_the_reason_is_kept():
    plan = plan_of({}, {"trains": False})
    assert list(parts(plan)) == ["evaluation", "recorded"]
    assert plan.skipped == {"versions.step": "b.py defines no loss(y), which a training step of all needs"}
    assert plan_of({"trains": False}, {"trains": False}).skipped == {}
    assert "b.py" in plan_of({}, {"records": False}).skipped["versions.recorded"]


def test_what_cannot_be_evaluated_unrecorded_is_left_out_with_the_reason(tmp_path):
    plan = plan_of({}, {"unevaluated": "under torch.no_grad() it raises"})
    assert list(parts(plan)) == ["recorded", "step"]
    assert plan.skipped == {"versions.evaluation": "b.py: under torch.no_grad() it raises"}
    with pytest.raises(RequestError, match=r"nothing to compare: versions.evaluation: b.py"):
        plan_of({}, {"unevaluated": "it raises", "records": False})


FORCES = """\
import torch

x = torch.rand(4, 8, requires_grad=True)
def by_grad(x):
    (force,) = torch.autograd.grad(x.square().sum(), x, create_graph=True)
    return force
def by_hand(x):
    return 2 * x
variants = {"by grad": by_grad, "by hand": by_hand}
"""


def test_a_function_that_differentiates_inside_is_measured_where_it_works(tmp_path):
    facts = looked_at(tmp_path, FORCES)
    assert "(line 5) raises RuntimeError" in facts.versions[0].unevaluated
    assert facts.versions[1].unevaluated == ""
    plan = plan_versions((FileText("own.py", FORCES),), facts, REQUEST)
    assert list(parts(plan)) == ["recorded"]


def test_what_is_random_is_held_to_be_finite_and_the_rest_to_its_value():
    assert parts(plan_of())["step"].baseline.result == "value"
    assert parts(plan_of({}, {"repeats": False}))["step"].baseline.result == "value.isfinite()"


def test_the_entries_of_a_dict_are_versions_of_one_text():
    plan = plan_of({}, {"module": False}, names=("plain", "fast"), files=[FileText("own.py", DICT)])
    for each in plan.comparisons:
        assert each.files == ()
        assert DICT.splitlines()[-1] in each.prepare
        setups = {variant.name: variant.setup for variant in each.variants}
        assert "share(variants['plain'])" in setups["plain"]
        assert "f = variants['fast']" in setups["fast"]
        for variant in each.variants:
            compile(snippet(each, variant), variant.name, "exec")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/full.py", "b/adapted.py"], ["full.py", "adapted.py"]),
        (["old/net.py", "new/net.py"], ["old/net.py", "new/net.py"]),
        (["p/v1/src/net.py", "p/v2/src/net.py", "q.py"], ["v1/src/net.py", "v2/src/net.py", "q.py"]),
        (["p/net.py", "p/sub/p/net.py"], None),
    ],
)  # fmt: skip
def test_a_label_is_the_shortest_end_of_a_path_that_no_other_has(paths, expected):
    found = labels([Path("/root") / path for path in paths])
    assert expected is None or found == expected
    assert len(set(found)) == len(found)
    assert not any(each.startswith("/root/") for each in found)


@pytest.mark.parametrize(
    ("text", "binds"),
    [
        ("variants = {}", True),
        ("if True:\n    variants: dict = {}", True),
        ("from beside import variants", True),
        ("from beside import *", True),
        ("def f():\n    variants = 1", False),
        ("model = f(variants=3)\nprint(variants)", False),
    ],
)
def test_the_text_tells_whether_a_file_binds_variants(text, binds):
    assert defines_variants(text) is binds


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two files of one name in two folders, each with modules of the same names beside it."""
    for name, width in (("old", 8), ("new", 16)):
        written(tmp_path / name, net=FILE, parts=PARTS.format(width=width), late=f"WIDTH = {width}\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    # What stands under these names elsewhere in the tests is none of this.
    for name in ("parts", "late"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return {f"{name}/net.py": str(tmp_path / name / "net.py") for name in ("old", "new")}


def settings_of(places, kind="memory", number=0):
    return WorkerSettings(
        number, kind, 0, torch.get_num_threads(), file=next(iter(places.values())), files=places
    )


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """What a worker does to its process is undone here, where it shares it with other tests."""
    left = []

    class Undone(namespaces.Namespaces):
        def __init__(self, places):
            super().__init__(places)
            left.append(self)

    monkeypatch.setattr("gradbench.measure.worker.Namespaces", Undone)
    yield
    for each in left:
        each.leave()


def test_each_file_has_the_modules_beside_it_whoever_ran_before(two):
    held = namespaces.Namespaces(two)
    loaded = {name: held.load(name, FILE) for name in two}
    widths = {name: each.names["model"].out_features for name, each in loaded.items()}
    assert widths == {"old/net.py": 8, "new/net.py": 16}
    for name in (*two, *two):
        loaded[name].enter()
        names = loaded[name].names
        assert names["call"](names["model"], names["x"]).shape == (4, widths[name])
    held.leave()
    assert not {"parts", "late"} & sys.modules.keys()
    assert "torch" in sys.modules


def test_a_setting_of_one_file_is_no_setting_of_another(tmp_path):
    written(tmp_path, a="import torch\ntorch.set_default_dtype(torch.float64)\n", b="")
    held = namespaces.Namespaces({name: str(tmp_path / f"{name}.py") for name in "ab"})
    before = torch.get_default_dtype()
    try:
        one = held.load("a", (tmp_path / "a.py").read_text())
        other = held.load("b", "")
        assert torch.get_default_dtype() is before
        one.enter()
        assert torch.get_default_dtype() is torch.float64
        other.enter()
        assert torch.get_default_dtype() is before
    finally:
        torch.set_default_dtype(before)


BACKENDS = torch.backends
SETTINGS = {
    "torch.backends.cuda.enable_flash_sdp(False)": lambda: BACKENDS.cuda.flash_sdp_enabled(),
    "torch.backends.cuda.enable_mem_efficient_sdp(False)": lambda: BACKENDS.cuda.mem_efficient_sdp_enabled(),
    "torch.backends.cuda.enable_math_sdp(False)": lambda: BACKENDS.cuda.math_sdp_enabled(),
    "torch.backends.mkldnn.enabled = False": lambda: BACKENDS.mkldnn.enabled,
    "torch.backends.cudnn.enabled = False": lambda: BACKENDS.cudnn.enabled,
    "torch.backends.cudnn.benchmark = True": lambda: BACKENDS.cudnn.benchmark,
    "torch.backends.cudnn.deterministic = True": lambda: BACKENDS.cudnn.deterministic,
    "torch.backends.cudnn.allow_tf32 = False": lambda: BACKENDS.cudnn.allow_tf32,
    "torch.backends.cuda.matmul.allow_tf32 = True": lambda: BACKENDS.cuda.matmul.allow_tf32,
    "torch.set_float32_matmul_precision('high')": torch.get_float32_matmul_precision,
    "torch.use_deterministic_algorithms(True, warn_only=True)": lambda: (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ),
    "torch.autograd.set_detect_anomaly(True)": torch.is_anomaly_enabled,
    "torch.backends.mha.set_fastpath_enabled(False)": lambda: BACKENDS.mha.get_fastpath_enabled(),
}
# Releases from 2.9 on have an interface for the precision that the older one must not be mixed with.
if hasattr(torch.backends, "fp32_precision"):
    SETTINGS |= {
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'": lambda: BACKENDS.cuda.matmul.fp32_precision,
        "torch.backends.fp32_precision = 'tf32'": lambda: BACKENDS.fp32_precision,
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_changes_kernels_holds_for_its_file_alone(setting, tmp_path):
    read = SETTINGS[setting]
    held = namespaces.Namespaces({name: str(tmp_path / f"{name}.py") for name in "ab"})
    before, everything = read(), held.settings
    try:
        one = held.load("a", f"import torch\n{setting}\n")
        assert (changed := read()) != before
        other = held.load("b", "")
        assert read() == before
        one.enter()
        assert read() == changed
        other.enter()
        assert read() == before
    finally:
        held.leave()
    assert read() == before
    assert namespaces.Namespaces({}).settings == everything


def measured(plan, places, kind):
    """What a worker in this process says of each comparison."""
    output = io.BytesIO()
    worker = Worker(settings_of(places, kind, 1), output, io.BytesIO())
    for each in plan.comparisons:
        worker.visit(Task(each, 0.0))
    return [msgspec.json.decode(line) for line in output.getvalue().splitlines()]


def planned(places):
    files = tuple(FileText(name, Path(place).read_text()) for name, place in places.items())
    facts = inspect_versions(files, settings_of(places))
    assert isinstance(facts, VersionsFacts), facts
    return plan_versions(files, facts, REQUEST)


def test_bytes_of_two_files_are_those_of_arithmetic_and_their_results_are_told_apart(two):
    """Linear without bias of 4 × 8 to 4 × width: it saves x and the weights, which want gradients."""
    said = measured(planned(two), two, "memory")
    assert [each for each in said if each["type"] == "failure"] == []
    saved = {
        each["variant"]: each["saved"]
        for each in said
        if each["type"] == "memory" and each["comparison"].startswith("versions.recorded")
    }
    # The weights want no gradient of x, so they are not needed.
    assert saved["old/net.py"] == saved["twin"] == 4 * 8 * 4
    assert saved["new/net.py"] == 4 * 8 * 4
    retained = {
        each["variant"]: each["retained"]
        for each in said
        if each["type"] == "memory" and each["comparison"].startswith("versions.evaluation")
    }
    assert (retained["old/net.py"], retained["new/net.py"]) == (4 * 8 * 4, 4 * 16 * 4)
    agreements = [each for each in said if each["type"] == "agreement"]
    (shaped,) = [each for each in agreements if each["comparison"].startswith("versions.evaluation")]
    assert (shaped["variant"], shaped["error"], shaped["shapes"]) == ("new/net.py", None, [[4, 16], [4, 8]])
    # The loss is a number of both; what a file draws is its own, seeded alike.
    (lost,) = [each for each in agreements if each["comparison"].startswith("versions.step")]
    assert lost["error"] > 0
    assert "same_x" not in lost


def test_times_of_two_files_are_taken_in_one_process(two):
    said = measured(planned(two), two, "time")
    assert [each for each in said if each["type"] == "failure"] == []
    for visit in (each for each in said if each["type"] == "visit"):
        assert {"old/net.py", "new/net.py", "twin", "empty"} <= visit["variants"].keys()


def own_file(folder, text):
    place = folder / "own.py"
    place.write_text(text)
    return {"own.py": str(place)}


def looked_at(folder, text):
    settings = WorkerSettings(
        0, "memory", 0, torch.get_num_threads(), file=next(iter(own_file(folder, text).values()))
    )
    return inspect_versions((FileText("own.py", text),), settings)


def test_modules_and_functions_are_versions_and_gradients_of_a_function_are_cleared(tmp_path):
    facts = looked_at(tmp_path, DICT)
    assert [(each.name, each.module, each.trains) for each in facts.versions] == [
        ("plain", True, True), ("fast", False, True),
    ]  # fmt: skip
    assert facts.x_requires_grad
    plan = plan_versions((FileText("own.py", DICT),), facts, REQUEST)
    output = io.BytesIO()
    settings = WorkerSettings(1, "memory", 0, torch.get_num_threads())
    worker = Worker(settings, output, io.BytesIO())
    for each in plan.comparisons:
        worker.visit(Task(each, 0.0))
    said = [msgspec.json.decode(line) for line in output.getvalue().splitlines()]
    assert [each for each in said if each["type"] == "failure"] == []
    step = {
        each["variant"]: each["retained"]
        for each in said
        if each["type"] == "memory" and each["comparison"].startswith("versions.step")
    }
    # The loss, and no gradient.
    assert step["plain"] == step["fast"] == 4
    agreed = {
        each["comparison"].partition("/")[0]: each["error"] for each in said if each["type"] == "agreement"
    }
    assert agreed == {"versions.evaluation": 0.0, "versions.step": 0.0}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('{"plain": plain, "fast": fast}', "[plain, fast]", "`variants` is a list: expected a dict"),
        ('{"plain": plain, "fast": fast}', '{"plain": plain}', "`variants` has one entry"),
        ('{"plain": plain, "fast": fast}', "{}", "`variants` has no entry"),
        ('"fast": fast', "2: fast", "has the key 2, an int: expected a str"),
        ('"fast": fast', '" ": fast', "expected one line of 1 to 60"),
        ('"fast": fast', '"a\\nb": fast', "expected one line of 1 to 60"),
        ('"fast": fast', '"Plain ": fast', "which read alike"),
        ('"fast": fast', '"twin": fast', "every comparison uses for another variant"),
        ('"fast": fast', '"fast": nn.Linear', "is the class Linear"),
        ('"fast": fast', '"fast": 3', "is an int: expected a torch.nn.Module or a function"),
        ("x = torch.rand(4, 8)", "x = None", "defines no `x`"),
        ("x = torch.rand(4, 8)", "x = [1]", "`x` is a list"),
        ("x = torch.rand(4, 8)", "x = torch.full((4, 8), float('nan'))", "`x` holds NaN"),
        ("return nn.functional", "return 3 or nn.functional", "variants['fast'](x) returns an int"),
        ("return nn.functional", "raise ValueError('no')\n    return nn", "(line 9) raises ValueError: no"),
        ("return nn.functional", "x.mul_(2.0)\n    return nn.functional", "writes to x"),
        ("return nn.functional", "return torch.rand(()) + nn.functional", "gives another result at each"),
        ("return y.sum()", "return y", "expected a tensor with one element"),
        ("return y.sum()", "return y.detach().sum()", "does not require gradients"),
        ("return y.sum()", "return y.sum() / 0", "expected a finite loss"),
        ("variants = ", "torch.set_grad_enabled(False)\nvariants = ", "switches gradients off"),
        ("variants = ", "raise SystemExit(3)\nvariants = ", "raises SystemExit: 3"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_dict_is_one_line(tmp_path, old, new, says):
    assert old in DICT
    try:
        found = looked_at(tmp_path, DICT.replace(old, new))
    finally:
        torch.set_grad_enabled(True)
    assert isinstance(found, FileRejected), found
    assert says in found.message
    assert "\n" not in found.message
    assert str(tmp_path) not in found.message


def test_what_is_wrong_with_an_entry_names_it(tmp_path):
    for text in (DICT.replace("return y.sum()", "return y"), DICT.replace("return y.sum()", "return y.nope")):
        assert looked_at(tmp_path, text).message.startswith("variants['plain']: loss(y) ")


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (
            ".masked_fill(x.new_tensor(NEVER) > 0, float('nan'))",
            "the result of variants['fast'](x) holds NaN",
        ),
        (".to_sparse()", "variants['fast'](x) returns a tensor of the layout sparse_coo"),
        (" * next(COUNT)", "gives another result at each call"),
        (".masked_fill(MASK, float('-inf')) * next(COUNT)", "gives another result at each call"),
    ],
)
def test_an_entry_is_held_to_what_a_model_is_held_to(tmp_path, then, says):
    assert "return nn.functional.linear(x, plain.weight, plain.bias)" in DICT
    text = DICT.replace("plain.bias)", f"plain.bias){then}")
    needed = "import itertools\nCOUNT = itertools.count(1)\nMASK = torch.arange(8) < 1\nNEVER = [1.0] * 8\n"
    text = text.replace("variants = ", f"{needed}variants = ")
    found = looked_at(tmp_path, text)
    assert isinstance(found, FileRejected)
    assert says in found.message


def test_no_look_is_taken_at_files_that_are_held_against_each_other(two, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("no anatomy is asked for")

    monkeypatch.setattr("gradbench.measure.user_file.examine", refuse)
    files = tuple(FileText(name, Path(place).read_text()) for name, place in two.items())
    found = inspect_versions(files, settings_of(two))
    assert [each.name for each in found.versions] == list(two)


def test_a_file_with_a_model_may_call_something_else_variants(tmp_path):
    found = looked_at(tmp_path, DICT.replace("variants = {", "model = plain\nvariants = 1\nothers = {"))
    assert found.versions == ()


def test_a_mistake_in_one_of_several_files_names_it(two):
    Path(two["new/net.py"]).write_text(FILE.replace("model = make()", "model = 3"))
    files = tuple(FileText(name, Path(place).read_text()) for name, place in two.items())
    found = inspect_versions(files, settings_of(two))
    assert isinstance(found, FileRejected)
    assert (found.file, found.message.partition(":")[0]) == ("new/net.py", "`model` is an int")


def test_files_on_several_devices_are_refused(two, monkeypatch):
    """There is one device here: what a look says of it is given."""

    def seen(text, place, seed, threads, asked):
        device = "cuda:0" if "/new/" in place else "cpu"
        return FileFacts(
            (4, 8), "float32", device, "float32", "float32", 72, 72, False, True, True, 0.1, 1e-4, 3e-4
        )

    monkeypatch.setattr("gradbench.measure.version_files.inspect_user_file", seen)
    found = inspect_versions(tuple(FileText(name, FILE) for name in two), settings_of(two))
    assert isinstance(found, FileRejected)
    assert found.file == "new/net.py"
    assert found.message == (
        "`x` is on cuda:0, and that of old/net.py on cpu: expected one device for all files"
    )


@pytest.mark.parametrize(
    ("names", "methods", "says"),
    [
        (("a.py", "gone.py"), (), "gone.py: expected a Python file .*; there is none"),
        (("a.py", "a.py"), (), "is given twice"),
        (("a.py", "sub/../a.py"), (), "is given twice"),
        (("a.py", "b.py"), ("no_grad",), "--method no_grad: methods are for one model"),
        (("a.py", "wrong.py"), (), "wrong.py: expected Python; line 1"),
    ],
)
def test_a_mistake_that_needs_no_process_is_told_before_one_is_started(
    tmp_path, workers, names, methods, says
):
    written(tmp_path / "sub")
    written(tmp_path, a="model = 1\n", b="model = 1\n", wrong="a = \n")
    with pytest.raises(RequestError, match=says) as refused:
        plan_user_versions([tmp_path / name for name in names], methods, 0, "quick", 1)
    assert "\n" not in str(refused.value)
    assert workers.started == []


@pytest.mark.slow
def test_a_file_that_kills_its_process_is_named(tmp_path):
    written(tmp_path, a="import torch\nmodel, x = torch.nn.Linear(2, 2), torch.ones(1, 2)\n")
    written(tmp_path, b="import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(RequestError, match=r"/b\.py: cannot be measured: the process ended") as refused:
        plan_user_versions([tmp_path / "a.py", tmp_path / "b.py"], (), 0, "quick", 1)
    assert "a.py" not in str(refused.value)


def test_leaves_are_what_a_backward_gives_gradients_to():
    a, b, c = (torch.ones(2, requires_grad=needs) for needs in (True, True, False))
    found = leaves_of((a * b + a * c).sum())
    assert len(found) == 2
    assert {id(each) for each in found} == {id(a), id(b)}
    assert leaves_of(c.sum()) == []
    # So many ways lead to one leaf that to walk each of them would never end.
    y = a
    for _ in range(100):
        y = y + y
    assert [id(each) for each in leaves_of(y)] == [id(a)]


def made(ratio=1.0, passes=10, **changes):
    """A run by hand in which b.py takes so many times as long as a.py."""
    return results({"b.py": ratio}, passes=passes, plan=plan_of(**changes))


def sentence(found, part):
    begins = {"evaluation": "Evaluated", "recorded": "Recorded", "step": "In a training step"}[part]
    (said,) = [each.sentence for each in analyse(found).findings if each.sentence.startswith(begins)]
    return said


@pytest.mark.parametrize(
    ("ratio", "passes", "says"),
    [
        (2.0, 10, r"b\.py takes 2\.00\d* \(.*\) times as long as a\.py, 2\.00 µs against 1\.00 µs;"),
        (1.0, 10, "the same within 1 %"),
        (2.0, 1, "in one pass, which shows nothing"),
    ],
)
def test_a_part_is_a_sentence_on_time(ratio, passes, says):
    found = made(ratio, passes)
    for part in ("evaluation", "recorded", "step"):
        assert re.search(says, sentence(memory(memory(found, "a.py"), "b.py"), part))


def test_bytes_are_told_to_the_byte():
    found = memory(made(), "a.py", peak=893_952, retained=1_179_648, saved=1_511_424)
    memory(found, "b.py", peak=893_952, retained=3_538_976, saved=3_576_832)
    assert "it peaks at 894 kB, as much as a.py" in sentence(found, "evaluation")
    assert "it saves 3.58 MB for backward, against 1.51 MB of a.py" in sentence(found, "recorded")
    assert "its bytes are not known" in sentence(made(), "recorded")


@pytest.mark.parametrize(
    ("error", "shapes", "same_x", "says"),
    [
        (0.0, None, True, "their results are equal to the bit"),
        (1e-6, None, True, "their results agree except for rounding, 0.00010 % of the norm"),
        (0.5, None, True, "their results differ, by 50 % of the norm"),
        (4.295, None, True, "their results differ, by 4.3 times the norm"),
        (0.5, None, False, "by 50 % of the norm, and their x have different values"),
        (None, ((4, 2), (4, 3)), True, "their results differ in shape, 4 × 2 against 4 × 3"),
        (None, None, True, "the difference of their results is not known"),
    ],
)
def test_whether_results_agree_is_told(error, shapes, same_x, says):
    found = made()
    found.add(Agreement(found.header.plan.comparisons[0].id, "b.py", error, shapes, same_x))
    assert says in sentence(found, "evaluation")
    assert "their" not in sentence(found, "step")


def test_a_version_that_fails_is_told_and_no_gap():
    found = made()
    id = found.header.plan.comparisons[0].id
    for visit in found.visits:
        if visit.comparison == id:
            del visit.variants["b.py"]
    found.add(Failure(1, id, "b.py", "check", "raised", "ValueError: no"))
    assert "b.py failed (ValueError: no)" in sentence(found, "evaluation")


def test_where_the_baseline_failed_the_other_version_was_timed_all_the_same():
    found = made()
    id = found.header.plan.comparisons[0].id
    for visit in found.visits:
        if visit.comparison == id:
            del visit.variants["a.py"]
    found.add(Failure(1, id, "a.py", "time", "raised", "ValueError: no"))
    told = sentence(found, "evaluation")
    assert "not timed" not in told
    assert "b.py takes 1.00 µs, and a.py failed (ValueError: no)" in told


def test_an_interval_beside_1_is_explained_where_no_difference_is_shown():
    """Of four passes that scatter by 1 % an interval may leave out 1 where nothing is shown."""
    told = [
        sentence(results({"b.py": 1.02}, passes=4, scatter=0.01, seed=seed, plan=plan_of()), "step")
        for seed in range(12)
    ]
    beyond = [
        each
        for each in told
        if "no difference is measurable" in each and re.search(r"\(1\.0[1-9]\d* to", each)
    ]
    assert beyond
    assert all("too close to 1 for this run" in each for each in beyond)


def test_nothing_is_said_where_nothing_is_known():
    found = made()
    found.visits.clear()
    assert versions_findings(analyse(found)) == []


def test_the_page_shows_each_file_once_and_no_claims():
    page = rendered(made(1.2))
    assert "a.py and b.py, compared" in page
    assert page.count("x = &#39;a.py&#39;") == page.count("x = &#39;b.py&#39;") == 1
    assert "# b.py goes here, as shown below" in page
    assert 'id="claims"' not in page
    assert 'id="advice"' not in page
    plan = plan_of(names=("plain", "fast"), files=[FileText("own.py", DICT)])
    assert "The variants of own.py, compared" in rendered(results({}, plan=plan))


def test_a_variant_of_a_file_is_a_program_that_can_be_pasted():
    for each in plan_of().comparisons:
        for variant in each.variants:
            text = snippet(each, variant)
            compile(text, variant.name, "exec")
            assert variant.role == "empty" or f"x = {variant.file!r}" in text


def test_versions_are_exported_by_their_names():
    table = to_csv(analyse(made(1.2)))
    assert any(row.startswith("versions.recorded,b.py,") for row in table.splitlines())


def test_runs_of_versions_are_compared_by_ratio_where_the_first_file_is_as_it_was():
    def with_text(b, ratio, seed, a="x = 1\n"):
        plan = plan_of(files=[FileText("a.py", a), FileText("b.py", b)])
        return results({"b.py": ratio}, plan=plan, seed=seed)

    found = compare(with_text("x = 2\n", 1.5, 0), with_text("x = 3\n", 1.8, 1), 0.05)
    (b, *_) = [each for each in found.changes if each.variant.name == "b.py"]
    assert (b.basis, b.outcome, b.other_code) == ("ratio", "slower", True)
    assert b.change.mean == pytest.approx(1.2, rel=0.01)
    found = compare(with_text("x = 2\n", 1.5, 0), with_text("x = 2\n", 1.5, 1, a="x = 4\n"), 0.05)
    assert {each.basis for each in found.changes} == {"seconds"}
    assert not found.worse


def test_every_file_travels_to_the_workers_and_into_the_advice_to_go_on(workers, tmp_path):
    places = {name: tmp_path / name for name in ("a.py", "b.py")}
    order = run.Order(
        REQUEST, Options("quick", 1, "keep", 30.0), "gradbench model a.py b.py", plan_of(),
        places["a.py"], files=places,
    )  # fmt: skip
    run.start(tmp_path / "out", order, Steering(Goal(1, None, None, 0.1)))
    assert {tuple(each.settings.files.items()) for each in workers.started} == {
        tuple((name, str(place)) for name, place in places.items())
    }
    kept = read_results(tmp_path / "out")
    assert kept.header.plan == plan_of()
    assert [each.name for each in version_files(kept)] == ["a.py", "b.py"]

    def interrupted(settings, comparison):
        raise KeyboardInterrupt

    workers.lose = interrupted
    with pytest.raises(Exception, match=f"gradbench model {places['a.py']} {places['b.py']} --resume"):
        run.start(tmp_path / "again", order, Steering(Goal(1, None, None, 0.1)))


LORA_PARTS = """\
import torch
from torch import nn


class Adapted(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.inner(x) + self.up(self.down(self.drop(x)))


x = torch.rand(4, 8)
"""
LORA = """\
import parts
from torch import nn

model = {model}
x = parts.x


def loss(y):
    return y.square().mean()
"""


@pytest.mark.slow
def test_a_real_run_of_two_files_measures_exports_and_goes_on_with_the_same_files(tmp_path, gradbench):
    written(
        tmp_path, parts=LORA_PARTS, full=LORA.format(model="nn.Linear(8, 8)"),
        adapted=LORA.format(model="parts.Adapted(nn.Linear(8, 8))"),
    )  # fmt: skip
    files = tmp_path / "full.py", tmp_path / "adapted.py"
    away = tmp_path / "away"
    away.mkdir()
    done = gradbench("model", *files, "--passes", "1", "--output", "out", cwd=away)
    assert (done.returncode, done.stderr) == (0, done.stderr)
    found = read_results(away / "out")
    assert found.failures == []
    assert found.header.command == "gradbench model full.py adapted.py --passes 1 --output out"
    assert str(tmp_path) not in (away / "out" / "results.jsonl").read_text()
    assert str(tmp_path) not in (away / "out" / "report.html").read_text()
    saved = {
        each.variant: each.saved for each in found.memory if each.comparison.startswith("versions.recorded")
    }
    # x wants no gradient: a linear layer saves its input. The adapter saves more on the way.
    assert saved["full.py"] == 4 * 8 * 4
    assert saved["adapted.py"] > saved["full.py"]
    again = gradbench(
        "model", *files, "--resume", "--passes", "2", "--no-report", "--output", "out", cwd=away
    )
    assert again.returncode == 0, again.stderr
    assert {visit.number for visit in read_results(away / "out").visits} == {1, 2}
    before = (away / "out" / "results.jsonl").read_bytes()
    files[1].write_text(files[1].read_text() + "# changed\n")
    refused = gradbench("model", *files, "--resume", "--passes", "3", "--output", "out", cwd=away)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "adapted.py" in refused.stderr
    assert (away / "out" / "results.jsonl").read_bytes() == before


DIFFERENTIATES = """\
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(8))
    def forward(self, x):
        x = x.detach().requires_grad_()
        (force,) = torch.autograd.grad((self.weight * x).square().sum(), x, create_graph=True)
        return force
model = Net()
x = torch.rand(4, 8)
"""


def test_a_file_that_differentiates_inside_is_measured_where_it_works(tmp_path):
    places = {name: str(tmp_path / name) for name in ("a.py", "b.py")}
    for place in places.values():
        Path(place).write_text(DIFFERENTIATES)
    plan = planned(places)
    assert list(parts(plan)) == ["recorded"]
    assert "a.py: under torch.no_grad() model(x) raises RuntimeError" in plan.skipped["versions.evaluation"]
