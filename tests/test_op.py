"""An expression of the user's: every mistake in one line, what is planned of it, and one real run."""

import random
import re

import pytest
import torch
from synthetic import memory, rendered, results

from gradbench.analyse.analysis import analyse
from gradbench.cli.main import main
from gradbench.cli.op import OperationOptions, _again, _without_folder, op
from gradbench.define.operation import (
    faults_of,
    parse_expression,
    parse_shape,
    plan_operation,
    title_of,
    x_of,
)
from gradbench.define.workloads.operation import template
from gradbench.errors import RequestError
from gradbench.measure.memory import measure_memory
from gradbench.measure.operation import inspect_operation
from gradbench.measure.protocol import FileRejected
from gradbench.measure.variant import execute, prepare
from gradbench.measure.visit import build
from gradbench.record.plan import USER_MODEL, Request
from gradbench.record.results import read_results
from gradbench.record.user_file import OperationFacts
from gradbench.record.visits import Failure
from gradbench.report.snippet import snippet
from gradbench.report.terminal.brief import brief

SHAPE = (4, 8)
# Of 4 × 8 float32.
BYTES = 4 * 8 * 4
SQUARE = """
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x
    @staticmethod
    def backward(ctx, given):
        (x,) = ctx.saved_tensors
        return given * 2 * x
"""


def look(*expressions, setup="", dtype="float32", shape=SHAPE):
    return inspect_operation(expressions, x_of(shape, dtype, "cpu"), setup, "", 0)


def planned(*expressions, setup="", dtype="float32", methods=()):
    seen = look(*expressions, setup=setup, dtype=dtype)
    assert isinstance(seen, OperationFacts), seen.message
    request = Request((USER_MODEL,), methods, (), "cpu", seen.each[0].dtype, 0, "quick")
    return plan_operation(expressions, x_of(SHAPE, dtype, "cpu"), setup, seen, request), seen


def measured(*expressions, **options):
    """By part its comparison and the variants, all of which passed their checks."""
    plan, _ = planned(*expressions, **options)
    found = {}
    for each in plan.comparisons:
        failed = []
        ready = build(
            each,
            "answers",
            random.Random(0),
            lambda variant, error, failed=failed: failed.append((variant.name, str(error))) or True,
            prepare(each),
        )
        assert failed == []
        found[each.part] = each, {one.variant.name: one for one in ready}
    return found


def saved(found, part, variant):
    each, ready = found[part]
    return measure_memory(ready[variant], each.id).saved


def test_an_expression_is_measured_under_every_method_and_with_its_backward():
    found = measured("torch.softmax(x, -1)")
    assert set(found) == {"evaluation", "backward"}
    evaluation, ready = found["evaluation"]
    assert evaluation.skipped == {}
    assert {"tracked", "detach", "data", "no_grad", "inference_mode"} <= ready.keys()
    assert ready["no_grad"].variant.statement == "with torch.no_grad():\n    y = torch.softmax(x, -1)"
    assert ready["detach"].variant.statement == "y = torch.softmax(x.detach(), -1)"
    # Softmax saves its result.
    assert saved(found, "evaluation", "tracked") == BYTES
    assert saved(found, "evaluation", "no_grad") == 0
    assert {"backward", "retain_graph", "input_gradient"} <= found["backward"][1].keys()


def test_what_the_setup_makes_can_be_used_and_x_may_be_another():
    found = measured("x @ w + b", setup="w = torch.rand(8, 3)\nb = 1.0")
    assert found["evaluation"][0].shape == SHAPE
    other = measured("x * 2", setup="x = torch.ones(5, dtype=torch.float64)")
    assert (other["evaluation"][0].shape, other["evaluation"][0].dtype) == ((5,), "float64")


def test_a_result_without_gradients_is_measured_forward_only():
    found = measured("x.argmax(-1)")
    assert set(found) == {"evaluation"}
    evaluation, ready = found["evaluation"]
    assert "does not require gradients" in evaluation.shows
    assert ready["tracked"].run().dtype == torch.int64
    plan, seen = planned("x.argmax(-1)", "x.argmin(-1)")
    assert [each.part for each in plan.comparisons] == ["unrecorded"]
    assert (seen.backward, seen.gradients) == ((False, False), "")


def test_a_result_of_another_type_is_no_mistake():
    found = measured("x.double().sum()")
    assert found["evaluation"][1]["no_grad"].run().dtype == torch.float64


def test_two_expressions_take_turns_and_their_relation_is_told():
    found = measured("x * x", "Square.apply(x)", setup=SQUARE)
    assert list(found) == ["recorded", "both", "unrecorded"]
    each, ready = found["recorded"]
    assert each.baseline.label == "x * x"
    assert "Their results are equal to the bit; the gradients of x are equal to the bit." in each.shows
    assert {"first", "against", "twin"} <= ready.keys()
    # Both keep x.
    assert saved(found, "recorded", "first") == saved(found, "recorded", "against") == BYTES
    assert not found["unrecorded"][1]["against"].run().requires_grad


def test_expressions_that_do_not_compute_the_same_are_told_and_measured():
    expressions = ("x * 2", "x * 2 + 0.25")
    plan, seen = planned(*expressions)
    assert seen.apart
    assert "elements differ by up to 0.25" in seen.results
    assert seen.gradients == "equal to the bit"
    measured(*expressions)
    assert {variant.group for variant in plan.comparisons[0].variants} == {"first", "against", ""}
    (fault,) = faults_of(expressions, seen)
    assert (fault.kind, "0.25" in fault.sentence) == ("values differ", True)


def test_a_backward_that_is_wrong_is_seen_by_its_gradients():
    _, seen = planned("x * x", "Square.apply(x)", setup=SQUARE.replace("* 2 * x", "* x"))
    assert seen.apart
    assert seen.results == "equal to the bit"
    # Half of 2x, of x from [0, 1).
    assert "the whole by 0.5 of its norm" in seen.gradients


def test_rounding_is_a_relation_and_no_fault():
    expressions = ("x * 3", "x + x + x")
    _, seen = planned(*expressions)
    assert not seen.apart
    assert faults_of(expressions, seen) == ()
    other, shaped = look("x.sum(0)", "x.sum(1)"), "its shape is (4,) of the second, and (8,) of the first"
    assert (other.apart, other.results) == (True, shaped)


MISTAKES = {
    "no such name": (("torch.softmx(x, -1)",), {}, ["torch.softmx(x, -1) raises AttributeError"]),
    "near to a name of torch": (("torch.softmx(x, -1)",), {}, ["; did you mean softmax?"]),
    "near to a name of a tensor": (("x.sigmod()",), {}, ["; did you mean sigmoid?"]),
    "unknown name": (
        ("Mine.apply(x)",),
        {},
        ["name 'Mine' is not defined; give --setup-file FILE.py, which defines it"],
    ),
    "shape": (("x @ x",), {}, ["x @ x raises RuntimeError", "4x8"]),
    "no tensor": (("x.tolist()",), {}, ["returns a list", "expected a tensor"]),
    "several": (("x.max(-1)",), {}, ["expected a tensor; choose one of what it returns, as by [0]"]),
    "complex": (("x * 1j",), {}, ["returns complex64"]),
    "nan": (("x / 0 * 0",), {}, ["holds NaN"]),
    "random": (("torch.nn.functional.dropout(x, 0.5)",), {}, ["another result at each call"]),
    "writes": (("x.data.mul_(2)",), {}, ["writes to x", "use x.clone()"]),
    "in place": (("x.mul_(2)",), {}, ["a leaf Variable that requires grad"]),
    "tracks another": (
        ("x * w",),
        {"setup": "w = torch.ones(8, requires_grad=True)"},
        ["requires gradients where x does not", "detach() the others"],
    ),
    "another alone": (
        ("x.detach() * w",),
        {"setup": "w = torch.ones(8, requires_grad=True)"},
        ["requires gradients where x does not"],
    ),
    "setup raises": (("x",), {"setup": "a = 1\nb = a / 0"}, ["the setup (line 2) raises ZeroDivisionError"]),
    "a name that is taken": (("x * y",), {"setup": "y = 2"}, ["the setup defines `y`", "call it otherwise"]),
    "x is whole": (("x * 2",), {"setup": "x = torch.arange(3)"}, ["`x` is int64", "no gradient"]),
    "x is none": (("x * 2",), {"setup": "x = None"}, ["`x`"]),
    "backward raises": (
        ("Square.apply(x)",),
        {"setup": SQUARE.replace("given * 2 * x", "given.nope")},
        ["the backward of Square.apply(x)", "raises AttributeError"],
    ),
    "the second": (("x * 2", "x.nope"), {}, ["x.nope raises AttributeError"]),
    "gradients off": (("x",), {"setup": "torch.set_grad_enabled(False)"}, ["switches gradients off"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_an_expression_is_one_line(name):
    expressions, options, says = MISTAKES[name]
    try:
        refused = look(*expressions, **options)
    finally:
        torch.set_grad_enabled(True)
    assert isinstance(refused, FileRejected)
    assert "\n" not in refused.message
    for part in says:
        assert part in refused.message


def test_a_name_that_the_given_file_lacks_is_to_be_defined_there():
    refused = inspect_operation(
        ("Mine.apply(x)",), x_of(SHAPE, "float32", "cpu"), "a = 1", "/home/mine.py", 0
    )
    assert refused.message.endswith("; define it in mine.py")
    # A name that the setup itself lacks is a mistake in the setup.
    wrong = look("x * 2", setup="a = nothing")
    assert wrong.message.endswith("name 'nothing' is not defined")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x +", "invalid syntax"),
        ("y = x", "expected an expression of x"),
        ("torch.rand(3)", "does not name x"),
        ("", "expected"),
    ],
)
def test_what_is_no_expression_of_x_is_refused(text, says):
    with pytest.raises(RequestError, match=says) as refused:
        parse_expression("--against", text)
    assert str(refused.value).startswith("--against: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shape"), [("32,1000", (32, 1000)), ("7", (7,)), ("()", ()), ("(2, 3,)", (2, 3))]
)
def test_a_shape_is_its_lengths(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["0", "3,-1", "a", "2.5", "3,,4"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(RequestError, match="expected lengths of at least 1, as in 32,1000"):
        parse_shape(text)


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("f(x)['x']", "f({x})['x']"),
        ("(lambda x: x)(x)", "(lambda x: x)({x})"),
        ("x[{x}]", "{x}[{{x}}]"),
    ],
)
def test_x_is_marked_where_it_is_x(expression, made):
    assert template(expression) == made


def test_a_title_has_no_colon_of_its_own():
    assert title_of(("x * 2",)) == "x * 2"
    assert title_of(("x[:, 0]",)) == "the expression"
    assert title_of(("x" + " + x" * 20,)) == "the expression"


def test_only_what_has_a_wanted_method_is_measured():
    plan, _ = planned("x * 2", methods=("no_grad",))
    assert [each.part for each in plan.comparisons] == ["evaluation"]
    assert [each.name for each in plan.comparisons[0].variants if each.role == "method"] == ["no_grad"]
    with pytest.raises(RequestError, match="--method retain_graph: nothing to measure"):
        planned("x.argmax()", methods=("retain_graph",))


def test_every_variant_is_a_program():
    for expressions in (("torch.relu(x)",), ("x * 2", "x + x")):
        for each in planned(*expressions)[0].comparisons:
            for variant in each.variants:
                if variant.role != "empty":
                    execute(snippet(each, variant), variant.name)


def test_the_page_tells_how_two_expressions_compare():
    plan, _ = planned("x * 2", "x + x")
    found = results({"against": 1.5}, plan=plan)
    sentences = [each.sentence for each in analyse(found).findings]
    assert sentences[1].startswith("Recorded, against x * 2: slower: x + x")
    assert any(each.startswith("Forward and backward, against x * 2") for each in sentences)
    assert "Their results are equal to the bit" in rendered(found)


def test_the_first_line_says_whether_an_expression_is_worth_it():
    plan, _ = planned("x * 2", "x + x")
    found = results({"against": 1 / 1.3}, plan=plan)
    for name in ("first", "against"):
        memory(found, name, peak=800, saved=0)
    first = brief(analyse(found), 300).splitlines()[0]
    assert re.fullmatch(
        r"- x \* 2 takes 1\.30 times as long as x \+ x, forward and backward \(1\.\d+ to 1\.\d+\); "
        r"same memory; same results\.",
        first,
    )
    alike = analyse(results({}, plan=plan, scatter=0.1)).findings[0].sentence
    assert ", which is no measurable difference; same results." in alike
    once = analyse(results({}, plan=plan, passes=1)).findings[0].sentence
    assert "(one pass, which shows nothing yet)" in once


def test_the_answer_on_two_expressions_names_other_bytes_and_other_results():
    plan, _ = planned("x * 2", "x + x")
    found = results({"against": 1.5}, plan=plan)
    memory(found, "first", peak=800, saved=0)
    memory(found, "against", peak=400, saved=400)
    first = analyse(found).findings[0].sentence
    assert (
        "; peak 800 B instead of 400 B, saved for the backward 0 B instead of 400 B; same results." in first
    )
    expressions = ("x * 2", "x * 2 + 0.25")
    plan, seen = planned(*expressions)
    found = results({}, plan=plan)
    found.file_faults += faults_of(expressions, seen)
    assert analyse(found).findings[0].sentence.endswith("; other results.")


def test_an_expression_without_a_backward_is_judged_by_its_forward():
    plan, _ = planned("x.argmax(-1)", "x.argmin(-1)")
    assert ", forward, not recorded (" in analyse(results({"against": 1.5}, plan=plan)).findings[0].sentence


def test_of_two_methods_that_were_asked_for_the_answer_is_of_one_against_the_other():
    plan, _ = planned("x * 2", methods=("no_grad", "inference_mode"))
    request = Request((USER_MODEL,), ("no_grad", "inference_mode"))
    found = results({"inference_mode": 1.5}, plan=plan, request=request)
    first = analyse(found).findings[0]
    assert first.sentence.startswith("torch.inference_mode() against torch.no_grad(): 1.5")


def test_bytes_of_two_expressions_are_alike_only_in_the_figures_that_were_compared():
    plan, _ = planned("x * 2", "x + x")
    found = results({"against": 1.5}, plan=plan)
    memory(found, "first", peak=800, saved=0)
    memory(found, "against", peak=800, saved=400)
    (_, recorded, both, *_) = [each.sentence for each in analyse(found).findings]
    assert recorded.endswith("; the same peak of 800 B; saved for backward 400 B against 0 B.")
    assert both.endswith("; the same peak of 800 B.")


def test_an_expression_that_fails_is_a_finding_with_its_reason():
    plan, _ = planned("x * 2", "x + x")
    found = results({}, plan=plan)
    recorded = next(each.id for each in plan.comparisons if each.part == "recorded")
    found.add(Failure(1, recorded, "against", "time", "raised", "ValueError: no such x."))
    assert analyse(found).findings[0].sentence == "Recorded, x + x failed: ValueError: no such x."
    found = results({}, plan=plan)
    found.add(Failure(1, recorded, "against", "kernels", "raised", "the profiler saw nothing"))
    assert "failed" not in analyse(found).findings[0].sentence


def test_an_expression_that_begins_with_a_minus_is_told_where_it_goes(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["op", "-x.sin()"])
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert 'goes behind --, as in: -- "-x.sin()"' in said
    with pytest.raises(SystemExit):
        main(["op", "x", "--shap", "3"])
    assert "--shape" in capsys.readouterr().err


def asked_of(*arguments):
    """The options that a command line of `op` gives."""
    context = op.make_context("op", [str(each) for each in arguments])
    return OperationOptions(**context.params)


def test_the_words_to_go_on_with_a_minus_are_those_of_an_expression():
    asked = asked_of("--shape", "3", "--", "-x.sin()")
    again = asked_of(*_again(asked)[1:], "--resume", "--output", "out")
    assert again.resume
    assert parse_expression("EXPRESSION", again.expression) == "-x.sin()"


@pytest.mark.parametrize(
    "words", [("--setup-file", "{}/f.py"), ("--setup-file={}/f.py",), ("--setup-file", "{}/./f.py")]
)
def test_where_the_file_of_a_setup_stands_is_in_no_command(tmp_path, words):
    words = [each.format(tmp_path) for each in words]
    asked = asked_of("x * 2", *words)
    kept = [_without_folder(asked, each) for each in words]
    assert str(tmp_path) not in " ".join(kept)
    assert asked_of("x * 2", *kept).setup_file.name == "f.py"


@pytest.fixture(scope="module")
def done(tmp_path_factory, gradbench):
    folder = tmp_path_factory.mktemp("op")
    (folder / "square.py").write_text("import torch\nfrom width import WIDTH\n" + SQUARE)
    (folder / "width.py").write_text("WIDTH = 2.0\n")
    options = (
        "--setup-file",
        folder / "square.py",
        "--setup",
        "half = 0.5",
        "--passes",
        "1",
        "--no-report",
        "--output",
        "out",
    )
    made = gradbench("op", "x * x * WIDTH", "--against", "Square.apply(x) / half", *options, cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder, made


@pytest.mark.slow
def test_a_run_of_two_expressions_is_measured_and_goes_on(done, gradbench):
    folder, made = done
    assert "results of the two: equal to the bit; gradients of x: equal to the bit" in made.stderr
    found = read_results(folder / "out")
    assert (found.failures, found.file_faults) == ([], [])
    assert {each.comparison.partition("/")[0] for each in found.visits} == {
        "model.recorded",
        "model.both",
        "model.unrecorded",
    }
    assert str(folder) not in (folder / "out" / "results.jsonl").read_text()
    refused = gradbench("run", "--resume", "--output", "out", cwd=folder)
    assert (refused.returncode, "gradbench op EXPRESSION --resume" in refused.stderr) == (2, True)
    for command in (("export", "out", "--to", "csv"), ("compare", "out", "out"), ("report", "out")):
        assert gradbench(*command, cwd=folder).returncode == 0, command
    assert "Square" in (folder / "out" / "report.html").read_text()


@pytest.mark.slow
def test_a_mistake_on_the_command_line_is_one_line_with_exit_code_2(tmp_path, gradbench):
    for arguments, says in (
        (("x +",), "expected an expression of x"),
        (("torch.softmx(x, -1)",), "raises AttributeError"),
    ):
        refused = gradbench("op", *arguments, "--output", "out", cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert says in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x.to_sparse()", "x.to_sparse() returns a tensor of the layout sparse_coo: expected a plain one; "),
        ("torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)", "returns a quantized tensor: expected a plain"),
        ("torch.nested.nested_tensor([x, x])", "returns a nested tensor: expected a plain one; "),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_result_that_no_check_can_hold_against_another_is_refused(expression, said):
    refused = look(expression)
    assert isinstance(refused, FileRejected)
    assert said in refused.message


def test_a_sparse_gradient_is_held_against_a_dense_one():
    seen = look(
        "F.embedding(torch.arange(3), x, sparse=True)",
        "F.embedding(torch.arange(3), x)",
        setup="import torch.nn.functional as F",
    )
    assert isinstance(seen, OperationFacts)
    assert not seen.apart
