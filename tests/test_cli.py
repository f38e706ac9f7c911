"""The command line: what it refuses, how it says so, and what it tells about itself."""

import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import msgspec
import pytest
from conftest import GRADBENCH

from gradbench import __version__
from gradbench.analyse.claims import CLAIMS
from gradbench.cli import main as cli
from gradbench.record.results import FILENAME, read_results

COMMANDS = tuple(cli.cli.commands)
# The smallest run; every refusal must come before it, or at its first process.
SMALL = ("--workload", "control", "--size", "small", "--method", "no_grad", "--no-report")


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Call the command in this process, in an empty folder; returns exit code, stdout and stderr."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(each) for each in arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def everything(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refuse(call, tmp_path):
    """Call the command; it must refuse in one line and change nothing on disk. Returns the line."""

    def refused(*arguments):
        before = everything(tmp_path)
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("gradbench: error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert everything(tmp_path) == before
        return err

    return refused


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--method", "no_gard"], ["--method no_gard", "did you mean no_grad?"]),
        (["--method", "no_grad,nonsense"], ["--method nonsense", "requires_grad_false"]),
        (["--workload", "nonsense"], ["--workload nonsense", "elementwise"]),
        (["--size", "nonsense"], ["--size nonsense", "small"]),
        (["--size", "0"], ["--size 0"]),
        (["--size", "-5"], ["--size -5"]),
        (["--size", "1.5"], ["--size 1.5"]),
        (["--size", "nan"], ["--size nan"]),
        (["--size", "inf"], ["--size inf"]),
        (["--size", "1e20"], ["--size 1e20"]),
        (["--size", "1e7:1"], ["--size 1e7:1"]),
        (["--size", "1:10:1"], ["--size 1:10:1"]),
        (["--size", "1:"], ["--size 1:"]),
        (["--dtype", "int8"], ["--dtype int8", "float32"]),
        (["--dtype", "float"], ["--dtype float"]),
        (["--budget", "nonsense"], ["--budget", "nonsense"]),
        (["--budget", "-1"], ["--budget -1"]),
        (["--budget", "0"], ["--budget 0"]),
        (["--budget", "nan"], ["--budget nan"]),
        (["--budget", "inf"], ["--budget inf"]),
        (["--passes", "0"], ["--passes 0"]),
        (["--passes", "-3"], ["--passes -3"]),
        (["--passes", "1.5"], ["--passes", "1.5"]),
        (["--precision", "0"], ["--precision 0"]),
        (["--precision", "100"], ["--precision 100"]),
        (["--precision", "-1"], ["--precision -1"]),
        (["--precision", "nan"], ["--precision nan"]),
        (["--threads", "0"], ["--threads"]),
        (["--seed", "-1"], ["--seed"]),
        (["--timeout", "0"], ["--timeout"]),
        (["--allocator", "nonsense"], ["--allocator", "keep"]),
        (["--preset", "nonsense"], ["--preset", "quick"]),
        (["--nonsense"], ["--nonsense"]),
        (["--passes"], ["--passes"]),
        (["nonsense"], ["nonsense"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_run_that_cannot_be_is_refused_in_one_line(refuse, workers, arguments, says):
    err = refuse("run", "--output", "out", *arguments)
    for each in says:
        assert each in err
    assert workers.started == []


@pytest.mark.parametrize(
    "arguments", [["--timeout", "nan"], ["--timeout", "inf"], ["--timeout", "1e10"], ["--seed", str(1 << 64)]]
)
def test_a_number_that_torch_or_a_clock_cannot_take_is_refused(refuse, workers, arguments):
    refuse("run", "--output", "out", *SMALL, "--passes", "1", *arguments)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["run", "--nonsense"], ["list", "more"]])
def test_an_unknown_command_or_option_points_to_the_help(refuse, arguments):
    err = refuse(*arguments)
    assert "nonsense" in err or "more" in err
    assert "--help" in err


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "nonsense", ""])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(refuse, workers, device):
    err = refuse("run", "--output", "out", *SMALL, "--device", device)
    assert f"--device {device}" in err
    assert "cpu" in err.partition(":")[2]


def test_a_device_that_torch_does_not_find_is_refused_by_a_real_process(refuse):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert "--device cuda" in refuse("run", "--output", "out", *SMALL, "--device", "cuda")


def test_an_output_that_cannot_be_written_is_refused(refuse, workers, tmp_path):
    (tmp_path / "file").write_text("mine")
    for output in ("../file", "../file/run", "../file/a/b", "/proc/gradbench"):
        assert output in refuse("run", *SMALL, "--passes", "1", "--output", output)


def test_an_output_with_an_impossible_name_is_refused(refuse, workers):
    refuse("run", *SMALL, "--passes", "1", "--output", "a" * 300)


@pytest.mark.parametrize("arguments", [["report"], ["export"], ["run", "--resume", "--output"]])
def test_a_run_with_an_impossible_name_is_refused(refuse, workers, arguments):
    refuse(*arguments, "a" * 300)


def test_an_output_with_other_files_is_refused(refuse, workers, tmp_path):
    (tmp_path / "here" / "out").mkdir()
    (tmp_path / "here" / "out" / "thesis.txt").write_text("mine")
    assert "other files" in refuse("run", *SMALL, "--output", "out")


def test_an_output_with_another_run_is_refused_and_names_resume(refuse, call, workers):
    assert call("run", *SMALL, "--passes", "1", "--output", "out")[0] == 0
    err = refuse("run", *SMALL, "--output", "out")
    assert "another run" in err
    assert "--resume" in err


def test_an_empty_folder_is_good_enough(call, workers, tmp_path):
    (tmp_path / "here" / "out").mkdir()
    code, out, err = call("run", *SMALL, "--passes", "1", "--output", "out")
    assert (code, err) == (0, "")
    assert out.endswith(f"\nresults: out/{FILENAME}\n")


def test_without_an_output_a_run_gets_a_folder_under_runs_and_resume_finds_it(call, workers, tmp_path):
    assert call("run", *SMALL, "--passes", "1")[0] == 0
    folder, ignored = sorted((tmp_path / "here" / "runs").iterdir(), reverse=True)
    assert (ignored.name, ignored.read_text()) == (".gitignore", "*\n")
    assert call("run", "--resume", "--passes", "3", "--no-report")[0] == 0
    assert {visit.number for visit in read_results(folder).visits} == {1, 2, 3}


def test_the_options_of_a_run_reach_its_header(call, workers):
    call(
        "run", "--output", "out", "--workload", "chain, control", "--method", "no_grad", "--method", "data",
        "--size", "7,small", "--dtype", "float64", "--passes", "1", "--threads", "2", "--seed", "5",
        "--allocator", "system", "--timeout", "33", "--preset", "quick", "--no-report",
    )  # fmt: skip
    header = read_results(Path("out")).header
    request, options = header.request, header.options
    assert (request.workloads, request.methods) == (("chain", "control"), ("no_grad", "data"))
    assert (request.sizes, request.dtype, request.seed) == (("7", "small"), "float64", 5)
    assert (options.threads, options.allocator, options.timeout, options.preset) == (
        2,
        "system",
        33.0,
        "quick",
    )
    assert [(each.workload, each.numel) for each in header.plan.comparisons] == [
        ("control", 7), ("control", 100), ("chain", 7), ("chain", 100),
    ]  # fmt: skip
    variants = {variant.name for variant in header.plan.comparisons[0].variants}
    assert variants == {"requires_grad_false", "twin", "twin_own_buffer", "no_grad", "data", "empty"}


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        (["--method", "tracked"], "no_grad"),
        (["--method", "no_grad,tracked"], "no_grad"),
        (["--workload", "chain"], "control"),
        (["--size", "small,medium"], "small"),
        (["--device", "cuda"], "cpu"),
        (["--dtype", "float64"], "float32"),
        (["--threads", "2"], "1"),
        (["--allocator", "system"], "keep"),
        (["--seed", "1"], "0"),
        (["--timeout", "121"], "120"),
        (["--preset", "quick"], "standard"),
        (["--cold"], "not set"),
    ],
    ids=lambda value: " ".join(value),
)
def test_going_on_refuses_options_that_are_not_the_runs_with_both_values(refuse, call, workers, option, kept):
    call("run", *SMALL, "--passes", "1", "--output", "out")
    workers.started.clear()
    err = refuse("run", "--resume", "--output", "out", "--passes", "3", *option)
    asked = " ".join(option) if len(option) > 1 else "--cold set"
    assert f"{asked}: --resume goes on as the run in out was begun, with {option[0]} {kept};" in err
    assert workers.started == []


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        (None, "--fit 8GB: --resume goes on as the run in out was begun, without --fit; leave --fit out"),
        (2**30, "--fit 8GB: --resume goes on as the run in out was begun, with --fit 1GIB; leave --fit out"),
    ],
)
def test_a_size_to_fit_into_is_refused_in_the_words_of_the_option(refuse, call, workers, fit, says):
    call("run", *SMALL, "--passes", "1", "--output", "out")
    path = Path("out") / FILENAME
    first, *others = path.read_text().splitlines(keepends=True)
    known = msgspec.json.decode(first)
    known["options"]["fit"] = fit
    path.write_text(msgspec.json.encode(known).decode() + "\n" + "".join(others))
    Path("net.py").write_text("model = 1")
    assert says in refuse("model", "net.py", "--resume", "--output", "out", "--fit", "8GB")


@pytest.mark.parametrize("bare", ["8", "1.5", "999999"])
def test_a_small_size_without_a_unit_is_refused(refuse, bare):
    err = refuse("model", "net.py", "--fit", bare)
    assert f"--fit {bare}: give a unit, as in --fit {bare}GB" in err
    assert err.count("\n") == 1


def test_a_large_size_without_a_unit_is_bytes_and_a_small_one_with_a_unit_as_well():
    from gradbench.cli.running import model

    for given, meant in (("1000000", 10**6), ("8B", 8), ("0.5GB", 5 * 10**8)):
        context = model.make_context("model", ["net.py", "--fit", given])
        assert context.params["fit"] == meant


def test_going_on_takes_options_that_equal_the_runs(call, workers):
    asked = ("--preset", "quick", "--workload", "control,chain", "--size", "1000", "--threads", "2")
    call("run", *asked, "--method", "no_grad,tracked", "--passes", "1", "--output", "out", "--no-report")
    # The order of names is of no account, nor how a number is written.
    again = (
        "--preset", "quick", "--workload", "chain", "--workload", "control", "--size", "1e3",
        "--threads", "2", "--method", "tracked,no_grad", "--device", "cpu", "--timeout", "120.0",
        "--seed", "0",
    )  # fmt: skip
    done = call("run", "--resume", "--output", "out", *again, "--passes", "2", "--no-report")
    assert (done[0], done[2]) == (0, "")
    assert {visit.number for visit in read_results(Path("out")).visits} == {1, 2}
    # Alone it is as many passes as that preset has.
    assert call("run", "--resume", "--output", "out", "--preset", "quick", "--no-report")[0] == 0
    assert {visit.number for visit in read_results(Path("out")).visits} == set(range(1, 11))


def test_all_devices_are_those_that_the_run_found(call, workers):
    workers.environment = msgspec.structs.replace(workers.environment, devices=("cpu", "mps"))
    call("run", *SMALL, "--passes", "1", "--output", "out", "--device", "all")
    assert read_results(Path("out")).header.request.device == "cpu"
    done = call("run", "--resume", "--output", "out", "--device", "all", "--passes", "2", "--no-report")
    assert (done[0], done[2]) == (0, "")


@pytest.mark.parametrize("option", [["--passes", "0"], ["--budget", "nan"], ["--precision", "100"]])
def test_going_on_refuses_a_goal_that_cannot_be(refuse, call, workers, option):
    call("run", *SMALL, "--passes", "1", "--output", "out")
    assert option[0] in refuse("run", "--resume", "--output", "out", *option)


def test_going_on_with_a_finished_run_says_that_it_is_done(refuse, call, workers):
    call("run", *SMALL, "--passes", "2", "--output", "out")
    assert "has its 2 passes" in refuse("run", "--resume", "--output", "out", "--passes", "2")


def test_going_on_with_a_changed_machine_is_refused(refuse, small_run, workers, tmp_path):
    shutil.copytree(small_run, tmp_path / "run")
    assert "cannot go on" in refuse("run", "--resume", "--output", "../run", "--passes", "9")


@pytest.mark.parametrize("command", [["run", "--resume"], ["report"], ["export"]])
def test_without_any_run_there_is_none_to_take(refuse, command):
    assert "gradbench run" in refuse(*command)


@pytest.mark.parametrize("command", [["run", "--resume", "--output"], ["report"], ["export"]])
@pytest.mark.parametrize("content", [b"", b"text\n", b"[1, 2]\n", b'{"a": 1}\n', bytes(range(256)), None])
def test_what_is_not_a_run_is_refused(refuse, tmp_path, command, content):
    (tmp_path / "foreign").mkdir()
    if content is not None:
        (tmp_path / "foreign" / FILENAME).write_bytes(content)
    assert "../foreign" in refuse(*command, "../foreign")
    if content is not None:
        assert "../foreign" in refuse(*command, f"../foreign/{FILENAME}")


@pytest.mark.parametrize("command", [["run", "--resume", "--output"], ["report"], ["export"]])
def test_a_run_that_does_not_exist_is_refused(refuse, command):
    assert "missing" in refuse(*command, "missing")


def test_an_export_does_not_overwrite(refuse, small_run, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    assert "--output ../table.csv" in refuse("export", small_run, "--output", "../table.csv")


@pytest.mark.parametrize("output", ["no/such/folder/table.csv", "../file/table.csv"])
def test_an_export_that_cannot_be_written_is_refused(refuse, small_run, tmp_path, output):
    (tmp_path / "file").write_text("mine")
    refuse("export", small_run, "--output", output)


def test_an_export_to_an_impossible_name_is_refused(refuse, small_run):
    refuse("export", small_run, "--output", "a" * 300)


def test_an_unknown_form_of_export_is_refused(refuse, small_run):
    assert "csv" in refuse("export", small_run, "--to", "nonsense")


def test_an_export_that_fails_half_way_leaves_no_file(small_run, tmp_path):
    """A file may have a hundred bytes here: writing more is a real error of the system."""
    output = tmp_path / "table.csv"
    done = subprocess.run(
        [GRADBENCH, "export", small_run, "--output", output],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"gradbench: error: --output {output}: cannot be written: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["no/such/folder/report.html", "../file/report.html"])
def test_a_report_that_cannot_be_written_is_refused(refuse, small_run, tmp_path, output):
    (tmp_path / "file").write_text("mine")
    refuse("report", small_run, "--output", output)


def test_a_report_that_is_interrupted_as_it_is_written_leaves_what_was_there(small_run, tmp_path):
    """A pipe that nobody empties holds the command up in the middle of its write."""
    page, part = tmp_path / "page.html", tmp_path / "page.html.part"
    page.write_text("mine")
    os.mkfifo(part)
    process = subprocess.Popen(
        [GRADBENCH, "report", small_run, "--output", page], stderr=subprocess.PIPE, text=True
    )
    with os.fdopen(os.open(part, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        assert select.select([reader], [], [], 60)[0]
        assert process.poll() is None, "it ended before the pipe was full"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, said) == (3, "gradbench: stopped: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == [page]
    assert page.read_text() == "mine"


def test_a_report_does_not_take_the_place_of_a_folder(refuse, small_run, tmp_path):
    (tmp_path / "folder").mkdir()
    refuse("report", small_run, "--output", "../folder")


def test_an_interrupt_while_the_report_is_built_says_that_the_results_are_kept(call, workers, monkeypatch):
    def interrupted(results, output):
        raise KeyboardInterrupt

    monkeypatch.setattr("gradbench.report.page.write_report", interrupted)
    code, _, err = call("run", *SMALL[:-1], "--passes", "1", "--output", "out")
    assert code == 3
    assert err.startswith("gradbench: stopped: ")
    assert err.count("\n") == 1
    assert "nothing was written" not in err
    assert f"out/{FILENAME}" in err


def test_a_folder_of_that_name_that_was_there_is_not_hidden_from_git(call, workers, tmp_path):
    (tmp_path / "here" / "runs").mkdir()
    assert call("run", *SMALL, "--passes", "1")[0] == 0
    assert not (tmp_path / "here" / "runs" / ".gitignore").exists()


def test_a_run_that_is_asked_to_end_does_so_as_by_ctrl_c(call, workers):
    def ended(settings, comparison):
        if settings.number == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    workers.lose = ended
    before = signal.getsignal(signal.SIGTERM)
    code, out, err = call("run", *SMALL, "--passes", "3", "--output", "out")
    assert (code, out) == (3, "")
    # The lane may finish a visit or two before the main thread hears the signal.
    assert re.match(r"gradbench: stopped: interrupted; \d visits are kept in ", err)
    assert "--resume --output out" in err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_says_what_it_found_and_a_quiet_one_only_where_it_is(call, workers):
    code, out, err = call("run", *SMALL, "--passes", "2", "--output", "out")
    assert (code, err) == (0, "")
    assert out.startswith("No method keeps memory for")
    assert "\nTrust: " in out
    assert out.endswith(f"results: out/{FILENAME}\n")
    code, out, err = call("run", *SMALL, "--passes", "2", "--output", "quiet", "--quiet")
    assert (code, out, err) == (0, f"results: quiet/{FILENAME}\n", "")


def test_a_run_of_nothing_ends_early_in_one_line_that_says_why(call, workers):
    workers.lose = lambda settings, comparison: "died"
    code, _, err = call("run", *SMALL, "--passes", "2", "--output", "out", "--quiet")
    assert code == 3
    assert err.startswith("gradbench: stopped: Nothing could be measured: lost on purpose (control/100/")
    assert f"kept in out/{FILENAME}" in err
    assert err.count("\n") == 1
    assert "--passes" not in err


def test_a_run_of_which_a_part_failed_is_done_and_says_so(call, workers):
    workers.lose = lambda settings, comparison: (
        "hung" if settings.number and comparison.workload == "chain" else None
    )
    code, out, err = call(
        "run", "--workload", "control,chain", *SMALL[2:], "--passes", "3", "--output", "out"
    )
    assert code == 0
    assert err.startswith("gradbench: note: 1 of 2 comparisons failed")
    assert err.count("\n") == 1
    assert "--timeout" in err
    assert "failed" not in out


def test_a_report_of_what_was_cut_off_says_so(call, workers):
    call("run", *SMALL, "--passes", "2", "--output", "out")
    path = Path("out") / FILENAME
    path.write_bytes(path.read_bytes()[:-20])
    code, out, err = call("report", "out")
    assert (code, out) == (0, "report: out/report.html\n")
    assert "gradbench: note: The last line of the results file is cut off" in err
    assert "gradbench: note: The run was interrupted" in err


def test_a_package_that_is_missing_is_one_line(refuse, monkeypatch):
    def missing(devices):
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")

    monkeypatch.setattr("gradbench.cli.listing.as_data", missing)
    err = refuse("list")
    assert "scipy is not installed" in err
    assert "pip install scipy" in err


def test_what_is_in_the_place_of_a_run_is_told(refuse, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "versus.jsonl").write_text("")
    assert "it is a file" in refuse("run", *SMALL, "--output", "../file")
    assert f"a folder without {FILENAME}" in refuse("export", "../empty")
    assert "nothing has that name" in refuse("export", "../missing")
    assert "gradbench versus" in refuse("compare", "../trial", "../trial")


def test_a_name_that_is_no_text_is_one_line_or_kept_as_an_escape(
    refuse, call, workers, tmp_path, monkeypatch
):
    name = os.fsdecode(b"n\xebtz.py")
    (tmp_path / "here" / name).write_text("")
    assert "PYTHONUTF8=1" in refuse("model", name)
    monkeypatch.setattr(sys, "argv", ["gradbench", "run", "--output", name])
    call("run", *SMALL, "--passes", "1", "--output", "out")
    assert read_results(Path("out")).header.command == "gradbench run --output 'n\\udcebtz.py'"


def test_without_a_folder_for_its_cache_matplotlib_keeps_quiet():
    environment = {**os.environ, "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "MPLCONFIGDIR": ""}
    code = "import gradbench.report"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_word_it_is_the_help(call):
    assert call() == call("--help")


def test_no_line_of_the_help_is_cut(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in call("--help")[1].partition("Commands:")[2]


def test_help_says_of_every_command_what_it_does(call):
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    listed = [line.split() for line in out.partition("Commands:")[2].splitlines() if line.strip()]
    # What a user asks first comes first.
    assert [words[0] for words in listed][:6] == ["run", "model", "op", "report", "claims", "versus"]
    assert sorted(words[0] for words in listed) == sorted(COMMANDS)
    verbs = {"Build", "Check", "Compare", "Draw", "List", "Measure", "Show", "Write"}
    assert {words[1] for words in listed} <= verbs


# With what the help of an option may begin.
VERBS = {
    "Add", "Build", "Choose", "Compare", "Count", "Draw", "Flush", "Go", "Ignore", "Keep", "Mark", "Measure",
    "Print", "Put", "Run", "Seed", "Set", "Show", "Skip", "Start", "Stop", "Write",
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_option_begins_with_a_verb_and_has_two_lines_at_most(command):
    for option in cli.cli.commands[command].params:
        if isinstance(option, click.Option):
            assert option.help.split()[0] in VERBS, option.help
            # Beside the names of options a line of 100 columns has 66.
            text = option.help.partition("  [")[0]
            assert len(textwrap.wrap(text, 66)) <= 2, option.help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_names_its_options(call, command):
    code, out, err = call(command, "--help")
    assert (code, err) == (0, "")
    for parameter in cli.cli.commands[command].params:
        shown = parameter.metavar if isinstance(parameter, click.Argument) else None
        assert (shown or max(parameter.opts, key=len)).lower() in out.lower()
    assert call(command, "-h")[1] == out


def test_the_version_is_told(call):
    assert call("--version") == (0, f"gradbench, version {__version__}\n", "")


def test_a_report_is_built_again_and_leaves_the_results_alone(call, small_run, tmp_path):
    before = (small_run / FILENAME).read_bytes()
    code, out, err = call("report", small_run, "--output", "page.html")
    assert (code, out, err) == (0, "report: page.html\n", "")
    assert (tmp_path / "here" / "page.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert (small_run / FILENAME).read_bytes() == before


def test_a_run_leaves_its_report_beside_its_results(small_run):
    assert {path.name for path in small_run.iterdir()} == {FILENAME, "report.html"}


# Commands of one interpreter, whose arguments have tabs between them; it says how each ended.
ONE_AFTER_ANOTHER = """
import sys
from gradbench.cli.main import main
for line in sys.argv[1:]:
    try: main(line.split("\\t"))
    except SystemExit as ended: print("ended:", ended.code, file=sys.stderr)
"""


def one_after_another(before, after, *commands):
    """Call commands in one interpreter, which does something before and after; stderr by line."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}{ONE_AFTER_ANOTHER}{after}",
         *("\t".join(map(str, each)) for each in commands)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_what_reads_a_run_does_not_import_torch(small_run, tmp_path):
    said = one_after_another(
        "", "assert 'torch' not in sys.modules", *(
            (command, small_run, "--output", tmp_path / command) for command in ("export", "report")
        ),
    )  # fmt: skip
    assert said == ["ended: 0"] * 2


def test_a_reader_that_stops_early_is_no_failure(small_run):
    done = subprocess.Popen([GRADBENCH, "export", small_run], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done.stdout.close()
    err = done.stderr.read()
    done.stderr.close()
    assert (done.wait(30), err) == (0, b"")


def complete(folder, *words):
    """What the installed command offers a shell for the last of these words."""
    asked = {
        "_GRADBENCH_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("gradbench", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [GRADBENCH], cwd=folder, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    # A line for each: how the shell is to treat it, and the word.
    return [tuple(line.split(",", 1)) for line in done.stdout.split()]


def test_the_shell_completes_commands_options_and_names(tmp_path):
    assert complete(tmp_path, "ex") == [("plain", "export")]
    assert ("plain", "--workload") in complete(tmp_path, "run", "--wor")
    assert complete(tmp_path, "run", "--workload", "elem") == [("plain", "elementwise")]
    assert complete(tmp_path, "run", "--method", "no_grad,requires") == [
        ("plain", "no_grad,requires_grad_false")
    ]
    assert ("plain", "thorough") in complete(tmp_path, "run", "--preset", "t")
    assert complete(tmp_path, "run", "--size", "me") == [("plain", "medium")]
    assert complete(tmp_path, "versus", "--dtype", "bf") == [("plain", "bfloat16")]
    assert complete(tmp_path, "run", "--dtype", "zz") == []
    assert complete(tmp_path, "claims", "--id", "zzz") == []
    assert len(complete(tmp_path, "claims", "--id", "")) == len(CLAIMS)


@pytest.mark.parametrize("command", [["report"], ["export"], ["figures"], ["compare", "other"], ["claims"]])
def test_the_shell_completes_runs_and_else_files(tmp_path, command):
    assert complete(tmp_path, *command, "runs") == [("file", "runs")]
    (tmp_path / "runs" / "monday").mkdir(parents=True)
    (tmp_path / "runs" / "monday" / FILENAME).touch()
    (tmp_path / "runs" / "no-run").mkdir()
    assert complete(tmp_path, *command, "runs/") == [("plain", "runs/monday")]
    assert complete(tmp_path, *command, "el") == [("file", "el")]


def test_the_shell_completes_a_file_of_python(tmp_path):
    assert complete(tmp_path, "model", "ne") == [("file", "ne")]
    assert complete(tmp_path, "versus", ".venv/b") == [("file", ".venv/b")]


def test_the_script_for_a_shell_is_printed(tmp_path):
    environment = {**os.environ, "_GRADBENCH_COMPLETE": "bash_source"}
    done = subprocess.run([GRADBENCH], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "_GRADBENCH_COMPLETE=bash_complete" in done.stdout
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode == 0


def test_the_shell_is_answered_without_torch(tmp_path):
    code = (
        "import sys; from gradbench.cli.main import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'matplotlib', 'jinja2', 'rich'} & set(sys.modules)"
    )
    for words in ("run --method no", "claims --id x", "export "):
        asked = {"_GRADBENCH_COMPLETE": "zsh_complete", "COMP_WORDS": f"gradbench {words}", "COMP_CWORD": "3"}
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_what_draws_or_prints_is_imported_by_what_draws_or_prints(small_run):
    """A machine that only measures and reads need not have matplotlib, jinja2 and rich."""
    *said, missing, ended = one_after_another(
        "import sys\nsys.modules.update(dict.fromkeys(('matplotlib', 'jinja2', 'rich', 'torch')))", "",
        ("export", small_run), ("claims", small_run, "--json"),
        ("compare", small_run, small_run, "--to", "json"), ("list", "--json"),
        ("doctor", "--quick", "--json"), ("report", small_run),
    )  # fmt: skip
    assert said == ["ended: 0"] * 5
    assert "is not installed, which this needs" in missing
    assert ended == "ended: 2"
