"""A model of the user's: what is planned of its file, and one real run from the file to the report."""

import math
import re
from pathlib import Path

import msgspec
import pytest
import torch
from synthetic import header, memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.analyse.compare import compare
from gradbench.analyse.summary import summarise
from gradbench.analyse.user_model import user_file, user_model_findings
from gradbench.define.methods import METHODS
from gradbench.define.user_model import plan_file, seeded
from gradbench.define.workloads.user_model import NAME
from gradbench.errors import EndedEarly, RequestError
from gradbench.measure import run
from gradbench.measure.goal import Goal
from gradbench.measure.steering import Steering
from gradbench.measure.user_file import inspect_user_file
from gradbench.measure.user_model import plan_user_model, read
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, Options, read_results
from gradbench.record.user_file import Fault, FileFacts
from gradbench.record.visits import Stretch, Timeline
from gradbench.report.export.tidy_csv import to_csv
from gradbench.report.snippet import snippet

FILE = '''\
"""Characters in, characters out."""
from __future__ import annotations

import torch
from torch import nn

from beside import WIDTH

# Names that variants and templates use as well, which are the file's own.
share = value = parameter = y = base = "mine"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, WIDTH)
        self.norm = nn.BatchNorm1d(WIDTH)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(WIDTH, 20)
        self.head.weight = self.embed.weight

    def forward(self, x, shift):
        assert share == value == parameter == y == base == "mine"
        return {"logits": self.head(self.drop(self.norm(self.embed(x + shift).mean(1))))}


model = Net()
x = torch.randint(0, 10, (32, 4))
shift = torch.randint(0, 10, (4,))


def call(model, x):
    return model(x, shift)["logits"]


def loss(y):
    return nn.functional.cross_entropy(y, x[:, 0])
'''

SEEN = FileFacts(
    (32, 4), "int64", "cpu", "float32", "float32", 500, 480, True, True, False, 0.1, 0.001, 0.003
)
REQUEST = Request((NAME,), (), (), "cpu", "float32", 0, "quick")


def plan_of(seen=SEEN, request=REQUEST, **changes):
    return plan_file("net.py", FILE, msgspec.structs.replace(seen, **changes), request)


def parts(plan):
    return {each.part: each for each in plan.comparisons}


def test_evaluation_is_under_every_method_that_acts_on_a_model():
    (evaluation, *_) = plan_of().comparisons
    assert evaluation.id == "model.evaluation/128/float32/cpu"
    assert [variant.name for variant in evaluation.variants if variant.role == "method"] == [
        "tracked", "detach_after", "no_grad", "no_grad_decorator", "no_grad_prebuilt", "inference_mode",
        "set_grad_enabled_false",
    ]  # fmt: skip
    assert set(evaluation.skipped) == {"detach", "data", "detach_clone"}
    assert evaluation.baseline.name == "requires_grad_false"
    assert "model.requires_grad_(False)" in evaluation.baseline.setup
    assert all(".eval()" in variant.setup for variant in evaluation.variants if variant.role != "empty")


def test_without_a_loss_only_evaluation_is_measured():
    assert list(parts(plan_of(trains=False))) == ["evaluation"]
    assert list(parts(plan_of())) == ["evaluation", "step", "forward", "backward"]


def test_training_leaves_the_model_in_the_mode_of_the_file():
    for part in ("forward", "backward", "step"):
        assert not any("eval()" in variant.setup for variant in parts(plan_of())[part].variants)


@pytest.mark.parametrize(("calls", "code"), [(True, "y = call(model, x)"), (False, "y = model(x)")])
def test_the_model_is_called_as_the_file_says(calls, code):
    for each in plan_of(calls=calls).comparisons:
        assert code in each.baseline.setup_per_call + each.baseline.statement


def test_a_random_loss_is_compared_for_being_finite_and_another_by_value():
    assert {variant.result for variant in parts(plan_of(repeats=True))["step"].variants} == {"value", ""}
    assert {variant.result for variant in parts(plan_of(repeats=False))["step"].variants} == {
        "value.isfinite()",
        "",
    }


def test_only_what_has_a_wanted_method_is_measured():
    def wanted(*methods):
        return list(parts(plan_of(request=msgspec.structs.replace(REQUEST, methods=methods))))

    assert wanted("no_grad") == ["evaluation", "forward"]
    assert wanted("retain_graph") == ["step", "backward"]
    assert wanted("tracked") == ["evaluation"]
    with pytest.raises(
        RequestError, match="--method detach: nothing to measure; detach: it acts on the input"
    ):
        wanted("detach")
    with pytest.raises(RequestError, match=r"the file defines no loss\(y\)"):
        plan_of(trains=False, request=msgspec.structs.replace(REQUEST, methods=("retain_graph",)))


def test_the_error_that_is_allowed_is_that_of_the_coarsest_type():
    tolerances = [
        plan_of(request=msgspec.structs.replace(REQUEST, dtype=result), coarsest=coarsest)
        .comparisons[0]
        .tolerance
        for coarsest, result in (("float32", "float32"), ("float32", "float64"), ("float64", "float64"))
    ]
    assert tolerances == pytest.approx([1e-4, 1e-4, 1e-12], rel=1e-9, abs=0)


def test_a_colon_in_the_name_of_a_file_stays_out_of_the_parts_of_a_title():
    plan = plan_file("net: new.py", FILE, SEEN, REQUEST)
    assert plan.comparisons[0].title.split(": ") == ["net_ new.py", "evaluation"]


DOC, FUTURE = '"""Doc."""\n', "from __future__ import annotations"


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("a = 1", ""),
        ("# a comment\na = 1", "# a comment\n"),
        (f"{DOC}{FUTURE}\n\na = 1", f"{DOC}{FUTURE}\n\n"),
        ("@decorated\ndef f(): pass", ""),
        (f"{FUTURE}; a = 1", f"{FUTURE}; a = 1\n"),
        ('"""Only a docstring."""', '"""Only a docstring."""\n'),
        ("", ""),
    ],
)  # fmt: skip
def test_torch_is_seeded_before_the_first_statement(text, before):
    made = seeded(text, 7)
    assert made.startswith(f"{before}import torch\ntorch.manual_seed(7)")
    compile(made, "net.py", "exec")
    lines = made.split("\n")
    at = lines.index("torch.manual_seed(7)")
    assert "\n".join(lines[: at - 1] + lines[at + 1 :]) == text.rstrip("\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is none"),
        (b"a = ", "expected Python; line 1: invalid syntax"),
        (b"a = '\x00'", "expected Python"),
        (b"a = '\xff'", "expected Python"),
        (b"# coding: nonsense\n", "expected Python"),
        (b"return 1", "expected Python; line 1: 'return' outside function"),
    ],
)
def test_what_is_no_python_is_refused(tmp_path, content, says):
    if content is not None:
        (tmp_path / "net.py").write_bytes(content)
    with pytest.raises(RequestError, match=re.escape(says)) as refused:
        read(tmp_path / "net.py")
    assert "\n" not in str(refused.value)


def test_a_folder_is_refused_and_an_encoding_is_read(tmp_path):
    with pytest.raises(RequestError, match="it is a folder"):
        read(tmp_path)
    (tmp_path / "net.py").write_bytes(b"# coding: latin-1\na = '\xe9\\d'\n")
    assert "é" in read(tmp_path / "net.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(FILE)
    (folder / "beside.py").write_text("WIDTH = 16\n")
    # Never to be taken for the module of that name by torch, or by gradbench.
    (folder / "random.py").write_text("raise ImportError('not the one of Python')\n")
    return folder


@pytest.fixture(scope="module")
def done(folder, gradbench):
    """A real run of one pass, from another folder than the file's."""
    away = folder / "away"
    away.mkdir()
    made = gradbench(
        "model", folder / "net.py", "--preset", "quick", "--passes", "1", "--output", "out", cwd=away
    )
    assert made.returncode == 0, made.stderr
    return away / "out"


@pytest.mark.slow
def test_a_run_measures_every_variant_in_time_and_memory(done):
    found = read_results(done)
    assert [(each.variant, each.message) for each in found.failures] == []
    assert {visit.number for visit in found.visits} == {1}
    for each in found.header.plan.comparisons:
        counted = {record.variant for record in found.memory if record.comparison == each.id}
        assert counted == {variant.name for variant in each.variants if variant.role != "empty"}
    assert [each.part for each in found.header.plan.comparisons] == [
        "evaluation",
        "step",
        "forward",
        "backward",
    ]
    step = parts(found.header.plan)["step"]
    steps = {each.name for each in step.variants if each.role in ("baseline", "method")}
    assert (
        {each.variant for each in found.timelines} == steps >= {"set_to_none", "set_to_zero", "retain_graph"}
    )


@pytest.mark.slow
def test_memory_is_as_arithmetic_says(done):
    """Logits are 32 × 20 float32; a step that clears its gradients leaves the loss, one that retains more."""
    by_variant = {
        (each.comparison.partition("/")[0], each.variant): each for each in read_results(done).memory
    }
    for method in ("requires_grad_false", "no_grad", "inference_mode", "detach_after"):
        assert by_variant["model.evaluation", method].retained == 32 * 20 * 4
        assert by_variant["model.evaluation", method].graph == 0
    tracked = by_variant["model.evaluation", "tracked"]
    assert tracked.graph > 0
    assert tracked.retained == 32 * 20 * 4 + tracked.graph
    assert by_variant["model.step", "set_to_none"].retained == 4
    assert by_variant["model.step", "retain_graph"].graph > by_variant["model.step", "set_to_none"].graph == 0


@pytest.mark.slow
def test_no_folder_of_the_user_is_in_the_results_or_the_report(done, folder):
    for name in (FILENAME, "report.html"):
        assert str(folder) not in (done / name).read_text()
    assert read_results(done).header.command.startswith("gradbench model net.py --preset quick")


@pytest.mark.slow
def test_the_file_stands_in_the_results_as_it_was(done):
    text = user_file(read_results(done)).text
    assert text.replace("import torch\ntorch.manual_seed(0)\n", "", 1) == FILE.rstrip("\n")


@pytest.mark.slow
def test_the_run_goes_on_with_its_file_and_with_no_other(done, folder, gradbench):
    before = (done / FILENAME).read_bytes()
    options = ("--passes", "2", "--no-report", "--output", done)
    again = gradbench("model", folder / "net.py", "--resume", *options, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (done / FILENAME).read_bytes().startswith(before)
    assert {visit.number for visit in read_results(done).visits} == {1, 2}
    before = (done / FILENAME).read_bytes()
    for preset, says in (
        ("thorough", "--preset quick"),
        ("quick", "nothing to do: the run has its 2 passes"),
    ):
        options = ("--preset", preset, "--passes", "2", "--output", done)
        refused = gradbench("model", folder / "net.py", "--resume", *options, cwd=folder)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert says in refused.stderr
    changed = folder / "changed.py"
    changed.write_text(FILE.replace("0.1", "0.2"))
    refused = gradbench("model", changed, "--resume", "--passes", "3", "--output", done, cwd=folder)
    assert refused.returncode == 2
    assert "are not those that it was measured with" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert (done / FILENAME).read_bytes() == before


@pytest.mark.slow
def test_code_of_a_results_file_is_never_run(done, folder, gradbench):
    refused = gradbench("run", "--resume", "--passes", "9", "--output", done, cwd=folder)
    assert refused.returncode == 2
    assert "gradbench model FILE.py --resume --output" in refused.stderr


@pytest.mark.slow
def test_two_runs_of_one_file_can_be_compared_and_exported(done):
    found = read_results(done)
    assert {each.outcome for each in compare(found, found, 0.05).changes} <= {"same", "cannot tell"}
    rows = to_csv(summarise(found)).splitlines()
    assert any(row.startswith("model.evaluation,no_grad,") for row in rows)


@pytest.mark.slow
def test_a_mistake_is_one_line_with_exit_code_2_and_leaves_nothing(folder, gradbench):
    wrong = folder / "wrong.py"
    wrong.write_text("model = 1\n")
    refused = gradbench("model", wrong, "--output", "nothing", cwd=folder)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"gradbench: error: {wrong}: `model` is an int")
    assert refused.stderr.count("\n") == 1
    assert not (folder / "nothing").exists()


@pytest.mark.slow
def test_a_file_that_kills_its_process_is_told(folder):
    (folder / "kills.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(RequestError, match="cannot be measured: the process ended"):
        plan_user_model(folder / "kills.py", (), 0, "quick", 1)


def test_a_method_that_is_none_is_refused_before_the_file_is_read(tmp_path):
    with pytest.raises(RequestError, match=r"--method no_gard: .*did you mean no_grad"):
        plan_user_model(tmp_path / "gone.py", ("no_gard",), 0, "quick", 1)


def test_a_run_that_was_interrupted_says_how_to_go_on_with_the_file(workers, tmp_path):
    def interrupted(settings, comparison):
        raise KeyboardInterrupt

    workers.lose = interrupted
    file = tmp_path / "net.py"
    order = run.Order(REQUEST, header().options, "", plan_of(), file)
    with pytest.raises(EndedEarly, match=f"gradbench model {file} --resume --output"):
        run.start(tmp_path / "out", order, Steering(Goal(1, None, None, 0.1)))
    assert {each.settings.file for each in workers.started} == {str(file)}


def test_the_faults_of_a_file_follow_the_header_once(workers, tmp_path):
    file, faults = tmp_path / "net.py", (Fault("does not work under", "under no_grad() it raises"),)
    order = run.Order(REQUEST, header().options, "", plan_of(), file, {}, faults)
    run.start(tmp_path / "out", order, Steering(Goal(1, None, None, 0.1)))
    run.resume(tmp_path / "out", Steering(Goal(2, None, None, 0.1)), plan_of(), file)
    assert tuple(read_results(tmp_path / "out").file_faults) == faults
    second = (tmp_path / "out" / FILENAME).read_text().split("\n")[1]
    assert msgspec.json.decode(second, type=Fault) == faults[0]


def made(ratios=None, **changes):
    """A run of the plan above made by hand: ratios are to each comparison's baseline."""
    return results(ratios or {}, plan=plan_of(**changes))


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ({"tracked": 1.25, "detach_after": 1.25}, "20 % less time than recording"),
        ({}, "no difference in time to recording that matters"),
    ],
)
def test_the_headline_is_the_first_screens_and_its_evidence_the_ratios(ratios, says):
    found = made(ratios, trains=False)
    first = analyse(found).findings[0]
    assert first.sentence == " ".join(analyse(found).screen.evaluation)
    assert first.sentence.startswith("Use torch.no_grad() or torch.inference_mode(): ")
    assert says in first.sentence
    assert "fastest" not in first.sentence
    assert first.evidence.startswith("Times relative to ")
    methods = [each for each in plan_of().comparisons[0].variants if each.role in ("baseline", "method")]
    assert [each.label for each in methods if each.label not in first.evidence] == []


def test_nothing_is_kept_where_recording_keeps_nothing():
    found = memory(made(trains=False), "tracked", peak=1000, graph=0, saved=0)
    assert not [each for each in user_model_findings(summarise(found)) if "Recorded" in each.sentence]
    found = memory(made(trains=False), "tracked", peak=1000, graph=600, saved=0)
    (kept,) = [each for each in user_model_findings(summarise(found)) if "Recorded" in each.sentence]
    assert "among them" not in kept.evidence


def test_a_step_tells_where_its_memory_goes_and_no_time_that_the_screen_has():
    found = made()

    def told():
        (step,) = [each for each in user_model_findings(summarise(found)) if "training step" in each.sentence]
        return step.sentence

    assert told() == "A training step without its optimizer takes 1.00 µs."
    step = parts(found.header.plan)["step"].id
    found.add(
        Timeline(
            step, "set_to_none", (Stretch("y = model(x)", (300, 200)), Stretch("value.backward()", (500, 4)))
        )
    )
    assert told() == (
        "The forward of a training step peaks at 300 B, 200 B are kept for the backward, and the backward "
        "peaks at 500 B."
    )


def retained(backward, step):
    """What is said of a backward whose graph is kept, where it takes so many times as long, and the step."""
    found = made()
    for visit in found.visits:
        times = {"model.backward": backward, "model.step": step}.get(visit.comparison.partition("/")[0])
        if times is not None:
            variant = visit.variants["retain_graph"]
            log = variant.log_ratio + math.log(times)
            visit.variants["retain_graph"] = msgspec.structs.replace(
                variant, seconds=times * variant.seconds, log_ratio=log
            )
    (told,) = [
        each for each in user_model_findings(summarise(found)) if each.sentence.startswith("A backward,")
    ]
    return told


def test_what_a_part_gains_and_the_step_does_not_is_no_advice():
    lost = retained(0.9, 1.0)
    assert "faster: backward(retain_graph=True) (0.90)" in lost.sentence
    assert "That gain may not last: in a whole step backward(retain_graph=True) is the same" in lost.sentence
    assert re.search(
        r"A whole step with backward\(retain_graph=True\), zero_grad\(\): (1\.00|0\.99)", lost.evidence
    )
    assert "is slower" in retained(0.9, 1.1).sentence
    assert "no advice" not in retained(0.9, 0.9).sentence
    assert "no advice" not in retained(1.1, 1.0).sentence


def test_what_is_saved_is_told_apart_from_what_is_kept_and_from_peaks():
    found = memory(made(trains=False), "tracked", peak=1000, graph=600, saved=1400)
    (told,) = [each for each in user_model_findings(summarise(found)) if each.sentence.startswith("Recorded")]
    assert "1,400 B are saved for backward. That includes x and the parameters" in told.evidence


def test_nothing_is_said_of_what_is_not_known():
    found = made(trains=False)
    found.visits.clear()
    assert user_model_findings(summarise(found)) == []
    assert "Nothing could be measured" in rendered(found)


def test_the_page_of_a_model_holds_the_file_once_and_no_claims():
    page = rendered(made({"tracked": 1.2}))
    assert "The cost of gradient control in net.py" in page
    for absent in ('id="claim-', 'class="presets"', 'id="purposes"', 'id="guide"', 'id="glance"'):
        assert absent not in page
    assert page.count("class Net(nn.Module)") == 1
    assert "# net.py goes here, as shown below" in page


def test_the_page_of_another_run_has_no_file():
    found = results({"tracked": 1.2})
    assert user_file(found) is None
    assert 'id="file"' not in rendered(found)
    assert 'id="claim-' in rendered(found)


def test_a_variant_as_a_program_stands_with_the_imports_that_must_be_first():
    for each in plan_of().comparisons:
        for variant in each.variants:
            compile(snippet(each, variant), variant.name, "exec")


DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("page", "trains"), [("tutorial.md", True), ("model.md", False)])
def test_the_file_in_the_documentation_can_be_measured(page, trains):
    text = re.search(r"```python\n(import torch.*?)```", (DOCS / page).read_text(), re.DOTALL)[1]
    seen = inspect_user_file(text, "net.py", 0, torch.get_num_threads())
    assert isinstance(seen, FileFacts)
    assert seen.trains is trains


def test_the_screen_in_the_tutorial_is_of_the_file_that_it_shows():
    (shown,) = re.findall(r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL)
    # The stored text begins with the seed.
    assert user_file(read_results(DOCS / "samples" / "net")).text.endswith(f"\n{shown.rstrip()}")


def test_the_first_pass_over_a_model_begins_with_what_matters_most(workers, measure_into, tmp_path):
    file = tmp_path / "net.py"
    file.write_text(FILE)
    plan = plan_file("net.py", FILE, SEEN, REQUEST)
    order = run.Order(REQUEST, Options("quick", 1, "keep", 30.0), "gradbench model", plan, file)
    run.start(tmp_path / "out", order, Steering(Goal(3, None, None, 0.1)))
    ids = [each.id for each in plan.comparisons]
    assert workers.order(1) == ids
    # Bytes are counted in that order, too.
    assert workers.order(0) == ids
    assert sorted(workers.order(2)) == sorted(ids)


def long_run(workers, tmp_path, calls, budget=200.0):
    """A run of a model on the clock of `workers`, whose calls take so long."""
    file = tmp_path / "net.py"
    file.write_text(FILE)
    plan = plan_file("net.py", FILE, SEEN, REQUEST)
    told = {each.id: calls for each in plan.comparisons}
    order = run.Order(REQUEST, Options("quick", 1, "keep", 30.0), "gradbench model", plan, file, told)
    return run.start(tmp_path / "out", order, Steering(Goal(None, budget, None, 0.5)))


@pytest.mark.parametrize(
    ("call", "checks"), [(0.001, {"answers", "values", "flags"}), (1.0, {"answers", "warm"})]
)
def test_a_long_call_is_checked_once_and_a_short_one_by_its_flags_ever_after(
    workers, tmp_path, monkeypatch, call, checks
):
    seen = []
    visit = workers.visit
    monkeypatch.setattr(
        workers, "visit", lambda settings, task: seen.append((settings.kind, task)) or visit(settings, task)
    )
    long_run(workers, tmp_path, call)
    assert {task.check for kind, task in seen if kind == "time"} == checks
    # Bytes are counted before anything else; of a long call nothing but the baseline runs first.
    assert {task.check for kind, task in seen if kind == "memory"} == {
        "baseline" if call == 1.0 else "answers"
    }


def test_what_is_entered_in_another_way_is_not_timed_where_calls_are_long(workers, tmp_path, monkeypatch):
    seen = []
    visit = workers.visit
    monkeypatch.setattr(
        workers, "visit", lambda settings, task: seen.append((settings.kind, task)) or visit(settings, task)
    )
    long_run(workers, tmp_path, 1.0, budget=2_000.0)
    entered = {each.name for each in METHODS if each.entered_as}
    evaluation = [
        {each.name for each in task.comparison.variants}
        for kind, task in seen
        if kind == "time" and task.comparison.part == "evaluation"
    ]
    assert "no_grad" in evaluation[0]
    assert all(names.isdisjoint(entered) for names in evaluation)
    # It is there where bytes are counted: the table of methods tells whose they are.
    counted = [task.comparison for kind, task in seen if kind == "memory"]
    assert any(entered & {variant.name for variant in each.variants} for each in counted)


def test_a_run_of_long_calls_ends_with_its_budget_and_has_timed_the_evaluation(workers, tmp_path):
    began = workers.now
    results = long_run(workers, tmp_path, 2.0, budget=60.0)
    assert workers.now - began <= 60.0
    assert any(each.comparison.startswith("model.evaluation/") for each in results.visits)


@pytest.mark.parametrize("forward", [0.001, 0.1])
@pytest.mark.parametrize("priced", [True, False])
def test_a_run_that_goes_on_is_priced_as_it_was_begun_however_long_a_forward_takes_now(forward, priced):
    seen = msgspec.structs.replace(SEEN, forward=forward)
    plan = plan_file("net.py", FILE, seen, REQUEST, priced)
    assert any(each.workload == "price" for each in plan.comparisons) == priced
