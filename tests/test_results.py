import contextlib
import errno
import gzip
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from synthetic import device_results, header
from synthetic import results as made_results

from gradbench.errors import RequestError, ResultsFileError
from gradbench.record import lines as lines_module
from gradbench.record.lines import SCHEMA, Writer, create
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, Options, Results, locate, new_folder, read_results, sessions
from gradbench.record.telemetry import Telemetry
from gradbench.record.user_file import Fault
from gradbench.record.visits import Failure, Look, Memory, PassEnd, PassStart, RunEnd, VariantTime, Visit

TIME = VariantTime(737, 6.763093622795115e-8, 6.75e-8, 6.78e-8, -0.012345678901234567)
START = PassStart(1, "time", 0.75, 4294967295, 4095)
VISIT = Visit(1, "c/100", 8338, 2.1, 0.009, 5.1e-5, {"a": TIME, "é ×": TIME}, Telemetry(0.1, None, 3, 2.4e9))
MEMORY = Memory("c/100", "a", 412, 3, 412, 408, 8, 0, None, "torch.profiler")
FAILURE = Failure(2, "c/100", None, "time", "died", 'said "no"\nand left \u2028 \x00')
END = PassEnd(1, 4.95)
RUN_END = RunEnd("budget", 16.378234696000163)
FAULT = Fault("values differ", "recorded and unrecorded results differ by 0.03", "net.py:18", bytes=4096)
RECORDS = (FAULT, START, VISIT, MEMORY, FAILURE, END, RUN_END)
HEADER = msgspec.json.encode(header()) + b"\n"


def write(path, *records):
    writer = Writer(path)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def kept(results):
    return [
        *results.file_faults,
        *results.passes,
        *results.visits,
        *results.memory,
        *results.failures,
        *results.ends,
        *results.runs,
    ]


@pytest.fixture
def whole(tmp_path):
    return write(tmp_path / FILENAME, header(), *RECORDS)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch") / FILENAME


def refusal(path):
    with pytest.raises((ResultsFileError, RequestError)) as caught:
        read_results(path)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_every_record_comes_back_as_it_was_written(whole):
    results = read_results(whole)
    assert results.header == header()
    assert kept(results) == list(RECORDS)
    assert (results.cut_off, results.length) == (0, whole.stat().st_size)


def test_what_is_unknown_comes_back_as_none_and_not_as_zero(tmp_path):
    visit = msgspec.structs.replace(VISIT, telemetry=Telemetry())
    results = read_results(write(tmp_path / FILENAME, header(), visit, MEMORY))
    assert results.visits[0].telemetry == Telemetry(None, None, None, None)
    assert results.memory[0].resident is None


def test_every_record_is_one_line_of_json(whole):
    lines = whole.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line)["type"] for line in lines] == [
        "header", "fault", "pass_start", "visit", "memory", "failure", "pass_end", "run_end",
    ]  # fmt: skip


def test_a_folder_stands_for_the_results_file_in_it(whole):
    assert locate(whole.parent) == whole
    assert read_results(whole.parent).visits == [VISIT]


@pytest.mark.parametrize("last", RECORDS, ids=lambda record: type(record).__name__)
def test_a_last_line_cut_anywhere_is_left_out_and_counted(tmp_path, last):
    path = write(tmp_path / FILENAME, header(), START, last)
    content = path.read_bytes()
    finished = content[:-1].rfind(b"\n") + 1
    for end in range(finished, len(content)):
        path.write_bytes(content[:end])
        results = read_results(path)
        assert kept(results) == [START]
        assert (results.cut_off, results.length) == (end - finished, finished)


def test_a_header_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / FILENAME
    for end in range(len(HEADER)):
        path.write_bytes(HEADER[:end])
        assert "no complete line" in refusal(path)


def test_going_on_after_a_cut_drops_the_unfinished_line(whole):
    content = whole.read_bytes()
    finished = content[:-1].rfind(b"\n") + 1
    for end in range(finished, len(content)):
        whole.write_bytes(content[:end])
        cut = read_results(whole)
        writer = Writer(whole, cut.length, cut.cut_off)
        writer.write(START)
        writer.close()
        results = read_results(whole)
        assert results.cut_off == 0
        assert results.passes == [START, START]
        assert results.runs == []


def test_a_file_that_another_run_has_written_to_since_it_was_read_is_left_alone(whole):
    old = read_results(whole)
    with whole.open("ab") as file:
        file.write(msgspec.json.encode(START) + b"\n")
    content = whole.read_bytes()
    with pytest.raises(OSError, match="written to it since") as caught:
        Writer(whole, old.length, old.cut_off)
    assert caught.value.errno == errno.EBUSY
    assert caught.value.strerror == "another gradbench has written to it since it was read"
    assert whole.read_bytes() == content


def test_a_record_is_in_the_file_before_the_writer_is_closed(tmp_path):
    path = tmp_path / FILENAME
    writer = Writer(path)
    writer.write(header())
    for count in range(1, 4):
        writer.write(VISIT)
        assert len(read_results(path).visits) == count
    writer.close()


def test_one_writer_at_a_time_writes_to_a_file(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / FILENAME
    first = Writer(path)
    first.write(header())
    length = path.stat().st_size
    with pytest.raises(OSError, match="another gradbench is writing to it") as caught:
        Writer(path, length)
    assert caught.value.errno == errno.EAGAIN
    assert caught.value.strerror == "another gradbench is writing to it"
    first.close()
    Writer(path, length).close()


def test_a_file_that_is_there_is_never_overwritten(whole):
    content = whole.read_bytes()
    with pytest.raises(FileExistsError):
        Writer(whole)
    assert whole.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"not json",
        b"[1, 2]",
        b"null",
        b'"\xff"',
        b'{"type":"visit"}',
        b'{"type":"nonsense"}',
        b'{"type":"pass_end","number":"1","seconds":1}',
        b'{"type":"pass_end","number":1,"seconds":NaN}',
        b'{"type":"failure","number":1,"comparison":"\xff","variant":null,"stage":"","kind":"died","message":""}',
        b'{"type":"run_end","reason":"boredom","seconds":1}',
        b"[" * 100_000,
        msgspec.json.encode(VISIT)[:-1],
        msgspec.json.encode(VISIT) * 2,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_a_corrupt_line_in_the_middle_is_named_by_its_number(tmp_path, line):
    path = tmp_path / FILENAME
    path.write_bytes(
        HEADER + msgspec.json.encode(START) + b"\n" + line + b"\n" + msgspec.json.encode(END) + b"\n"
    )
    assert "line 3" in refusal(path)


def test_a_second_header_is_refused(tmp_path):
    message = refusal(write(tmp_path / FILENAME, header(), START, header()))
    assert "second header" in message
    assert "line 3" in message


def test_a_newer_file_is_refused_and_names_the_version_that_wrote_it(tmp_path):
    newer = header(schema=SCHEMA + 1, gradbench="9.8.7")
    message = refusal(write(tmp_path / FILENAME, newer, VISIT))
    assert f"schema {SCHEMA + 1}" in message
    assert "9.8.7" in message


def test_a_newer_file_is_called_newer_whatever_its_header_holds(tmp_path):
    path = tmp_path / FILENAME
    path.write_text(f'{{"type":"header","format":"gradbench-results","schema":{SCHEMA + 1}}}\n')
    assert f"schema {SCHEMA + 1}" in refusal(path)


FOREIGN = {
    "empty": b"",
    "an empty line": b"\n",
    "text": b"# A title\n\nand text\n",
    "a list": b"[1, 2, 3]\n",
    "a list of headers": b"[" + HEADER[:-1] + b"]\n",
    "null": b"null\n",
    "a number": b"1\n",
    "another object": b'{"name": "torch", "version": 1}\n',
    "indented": b'{\n  "format": "gradbench-results"\n}\n',
    "another format": b'{"format":"asv","schema":1}\n',
    "a header with nothing in it": b'{"type":"header","format":"gradbench-results","schema":1}\n',
    "a header with a wrong type": HEADER.replace(b'"threads":1', b'"threads":"one"'),
    "zeros": bytes(1000) + b"\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "gzip of text": gzip.compress(b"text\n"),
    "gzip of nothing": gzip.compress(b""),
    "half of gzip": gzip.compress(HEADER)[:500],
    "gzip with a wrong checksum": gzip.compress(HEADER)[:-8] + bytes(8),
    "the start of gzip": b"\x1f\x8b",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    refusal(path)


def test_a_file_of_another_kind_is_refused_with_the_kind_that_was_expected(tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(b"[]\n")
    assert "expected a gradbench results file; its first line is not" in refusal(path)


UNDECODABLE = {
    "no utf-8": b'"\xff"\n',
    "no utf-8 in a header": HEADER.replace(b"gradbench run", b"gradbench \xff"),
    "deep": b"[" * 100_000 + b"\n",
    "deep in a header": b'{"format":"gradbench-results","schema":1,"more":' + b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("content", UNDECODABLE.values(), ids=UNDECODABLE)
def test_a_first_line_that_cannot_be_decoded_is_refused(tmp_path, content):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    refusal(path)


def test_a_folder_without_results_and_a_missing_file_are_refused(tmp_path):
    assert "it is a folder without results.jsonl" in refusal(tmp_path)
    assert "nothing has that name" in refusal(tmp_path / "missing.jsonl")


def test_a_compressed_file_reads_like_the_file_itself(whole, tmp_path):
    packed = tmp_path / "results.jsonl.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    results = read_results(packed)
    assert results.compressed
    assert kept(results) == list(RECORDS)
    assert not read_results(whole).compressed


def read_or_refuse(path, content):
    path.write_bytes(content)
    with contextlib.suppress(ResultsFileError):
        return read_results(path)
    return None


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00", b'"', b"{", b"["]))
@example(b'"\xff"', b"")
def test_arbitrary_bytes_are_a_results_file_error_and_nothing_else(scratch, content, start):
    assert read_or_refuse(scratch, start + content) is None
    assert read_or_refuse(scratch, start + content + b"\n") is None


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_after_a_header_are_refused_or_left_out(scratch, content):
    results = read_or_refuse(scratch, HEADER + content)
    if results is not None:
        assert kept(results) == []
        assert results.cut_off == len(content)


LINES = HEADER + b"".join(msgspec.json.encode(record) + b"\n" for record in RECORDS)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(LINES) - 1), st.integers(0, 255))
@example(2, 0x80)
def test_a_changed_byte_anywhere_is_refused_or_read_as_a_record(scratch, place, byte):
    results = read_or_refuse(scratch, LINES[:place] + bytes([byte]) + LINES[place + 1 :])
    assert results is None or len(kept(results)) >= len(RECORDS) - 1


def test_the_real_file_is_read_without_loss(small_run):
    lines = (small_run / FILENAME).read_bytes().splitlines()
    results = read_results(small_run)
    assert len(kept(results)) == len(lines) - 1
    assert results.cut_off == 0


def test_the_folder_of_a_published_run_is_one(tmp_path):
    (tmp_path / "results.jsonl.gz").write_bytes(b"")
    assert locate(tmp_path) == tmp_path / "results.jsonl.gz"
    (tmp_path / "results.jsonl").write_bytes(b"")
    assert locate(tmp_path) == tmp_path / "results.jsonl"


def test_a_folder_that_is_taken_is_refused_with_what_it_holds(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RequestError, match="it is a file; name another"):
        new_folder(tmp_path / "file")
    with pytest.raises(RequestError, match="other files") as caught:
        new_folder(tmp_path)
    assert "--resume" not in str(caught.value)
    (tmp_path / FILENAME).write_text("")
    with pytest.raises(RequestError, match=r"another run; .*add --resume"):
        new_folder(tmp_path)


def test_memory_is_counted_unless_a_run_is_asked_not_to():
    assert Options("standard", 1, "keep", 120.0).memory


def test_a_run_names_the_processor_and_every_accelerator_that_it_measured():
    assert made_results({}).header.measured_on == "A processor"
    request = Request(("control",), ("no_grad",), ("100",), device="cpu,cuda:0")
    assert device_results(request, passes=1).header.measured_on == "A processor and A device (cuda:0)"
    three = msgspec.structs.replace(request, device="cpu,cuda:0,cuda:1")
    assert device_results(three, passes=1).header.measured_on == (
        "A processor, A device (cuda:0) and A device (cuda:1)"
    )


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("gradbench run --preset quick --output runs/x", "gradbench run --resume --output here --passes 9"),
        (
            "gradbench model net.py --preset=quick --fit 8GB --quiet --budget 60",
            "gradbench model net.py --resume --output here --passes 9",
        ),
        (
            "gradbench model --no-report a.py b.py",
            "gradbench model a.py b.py --resume --output here --passes 9",
        ),
        (
            "gradbench op 'x * 2' --shape=4,8 --passes 1 --against 'x + x'",
            "gradbench op 'x * 2' --shape=4,8 --against 'x + x' --resume --output here --passes 9",
        ),
        (
            "gradbench op --dtype float64 --quiet -- -x.sin()",
            "gradbench op --dtype float64 --resume --output here --passes 9 -- '-x.sin()'",
        ),
    ],
)
def test_the_advice_to_go_on_is_a_whole_command(command, says):
    found = Results(Path("here/results.jsonl"), header(command=command))
    assert found.go_on("--passes 9") == f"Go on with `{says}`."


@pytest.mark.parametrize("command", ["by hand", "gradbench op 'x", ""])
def test_a_command_that_is_not_known_is_not_told_in_part(command):
    found = Results(Path("here/results.jsonl"), header(command=command))
    assert found.go_on("--passes 9") == "A new run with more passes would narrow that."
    assert found.command_to_go_on("--passes 9") == ""


def test_on_this_machine_the_command_to_go_on_names_the_folder():
    found = Results(Path("/runs/x/results.jsonl"), header(command="gradbench run"))
    assert found.command_to_go_on("--budget 60", here=True) == (
        "gradbench run --resume --output /runs/x --budget 60"
    )
    assert found.twice_the_budget == 600


def test_more_is_measured_by_passes_or_by_twice_the_budget_where_the_run_looked():
    made = Results(Path("here/results.jsonl"), header(command="gradbench run"))
    resume = "Go on with `gradbench run --resume --output here"
    assert made.go_on_longer(9) == f"{resume} --passes 9`."
    made.add(RunEnd("budget", 28.0))
    assert made.go_on_longer(9) == f"{resume} --passes 9`."
    made.add(Look(0.5, {}, "all"))
    # 28 s are nearly half a minute, and the next budget is a whole one.
    assert made.go_on_longer(9) == f"{resume} --budget 60`."
    made.runs.clear()
    assert made.go_on_longer(9) == f"{resume} --passes 9`."


def test_the_advice_to_go_on_names_no_folder_of_this_machine_and_is_of_files_that_can_grow():
    made = Results(Path("/runs/x/results.jsonl"), header(command="gradbench run"))
    assert made.go_on("--passes 9") == "Go on with `gradbench run --resume --passes 9`."
    assert made.go_on() == "Go on with `gradbench run --resume`."
    for fixed in ({"compressed": True}, {"schema": 1}):
        old = Results(Path("x/results.jsonl"), header(command="gradbench run"), **fixed)
        assert not old.resumable
        assert old.go_on("--passes 9") == "A new run with more passes would narrow that."


def test_a_run_is_interrupted_until_everything_that_was_begun_has_ended():
    made = Results(Path("results.jsonl"), header())
    for record, interrupted in (
        (START, True),
        (END, True),
        (RunEnd("passes", 5.0), False),
        (PassStart(2, "time", 0.7, 0, 0), True),
        # The pass was cut off, and the run that went on came to its end.
        (PassStart(3, "time", 0.7, 0, 0), True),
        (PassEnd(3, 1.0), True),
        (RunEnd("passes", 5.0), False),
    ):
        made.add(record)
        assert made.interrupted is interrupted


def test_sessions_are_counted_by_ends_and_by_looks():
    made = Results(Path("results.jsonl"), header())
    assert sessions(made) == 0
    made.add(RunEnd("budget", 5.0))
    made.add(RunEnd("budget", 5.0))
    assert sessions(made) == 2
    made.add(Look(0.5, {}, "all", session=3))
    made.add(Look(0.5, {}, "all", session=1))
    assert sessions(made) == 4


def test_a_folder_that_is_new_or_empty_is_taken(tmp_path):
    new_folder(tmp_path)
    new_folder(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_trial_in_the_place_of_a_run_is_told_by_its_command(tmp_path):
    (tmp_path / "versus.jsonl").write_text("")
    message = refusal(tmp_path)
    assert message.endswith("it is the trial of `gradbench versus`, which `gradbench report` reads")


def test_what_is_refused_says_what_was_expected_and_what_is_wrong(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\x1f\x8b")
    assert refusal(path).startswith(f"{path}: is compressed and corrupt: ")
    path.write_bytes(b"{")
    assert refusal(path) == f"{path}: expected a gradbench results file; it has no complete line"
    path.write_bytes(b"[]\n")
    assert refusal(path) == (
        f"{path}: expected a gradbench results file; its first line is not a header of one"
    )
    newer = header(schema=SCHEMA + 1, gradbench="9.8.7")
    assert refusal(write(tmp_path / "newer", newer)) == (
        f"{tmp_path / 'newer'}: has schema {SCHEMA + 1}, this gradbench reads schema 1 to {SCHEMA}; "
        "use the version that wrote it (9.8.7)"
    )
    assert refusal(write(tmp_path / "twice", header(), header())) == (
        f"{tmp_path / 'twice'}: a second header; expected one run in one file (line 2)"
    )


def test_a_file_that_the_system_does_not_give_is_refused_with_its_reason(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = write(tmp_path / FILENAME, header())
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(RequestError) as caught:
        read_results(path)
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"


class Disk:
    """Stands for the file of a writer: takes three bytes at a time, and refuses after so many."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, content):
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(content[: min(3, self._room)])
        self._room -= written
        return written


def test_a_disk_that_takes_a_part_gets_the_rest_and_one_that_is_full_keeps_whole_records(tmp_path):
    path = tmp_path / FILENAME
    writer = Writer(path)
    writer.write(header())
    file = writer._file
    writer._file = Disk(file, 10_000)
    writer.write(VISIT)
    assert read_results(path).visits == [VISIT]
    writer._file = Disk(file, 20)
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        writer.write(VISIT)
    assert path.read_bytes() == before
    # And goes on where the last whole record ends.
    writer._file = file
    writer.write(END)
    writer.close()
    results = read_results(path)
    assert (kept(results), results.cut_off) == ([VISIT, END], 0)


def test_a_file_is_created_in_a_folder_that_may_not_exist_yet(tmp_path):
    path = tmp_path / "runs" / "one" / FILENAME
    create(path, header()).close()
    assert read_results(path).header == header()
    other = tmp_path / "runs" / "one" / "other.jsonl"
    create(other, header()).close()
    assert read_results(other).header == header()


@pytest.mark.parametrize("existed", [True, False], ids=["in a folder", "in a new folder"])
def test_of_a_file_that_cannot_be_written_nothing_is_left(tmp_path, monkeypatch, existed):
    def full(self, record):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lines_module.Writer, "write", full)
    folder = tmp_path / "run"
    if existed:
        folder.mkdir()
    with pytest.raises(RequestError) as caught:
        create(folder / FILENAME, header())
    assert str(caught.value) == f"--output {folder}: cannot be written: No space left on device"
    assert folder.exists() == existed
    assert not (folder / FILENAME).exists()


def test_options_that_are_not_given_are_those_of_a_usual_run():
    options = Options("standard", 1, "keep", 120.0)
    # A batch of fifty microseconds, and no model that should fit into anything.
    assert (options.batch_seconds, options.fit) == (5e-5, None)


def test_a_method_is_called_as_the_file_says_and_else_by_its_name():
    named = header(labels={"no_grad": "without gradients"})
    assert named.label("no_grad") == "without gradients"
    # Files before schema 2 name those that were measured.
    plain = header(labels={})
    assert plain.label("no_grad") == "torch.no_grad()"
    assert plain.label("unheard_of") == "unheard_of"
    # An alternative is no method, whatever its name.
    only = header(Request(workloads=("update",), sizes=("small",)), labels={})
    assert only.label("optimizer") == "optimizer"


def test_a_disk_that_does_not_even_take_back_is_told_by_what_it_refused_first(tmp_path):
    class Stuck(Disk):
        def truncate(self, size):
            raise OSError(errno.EIO, "Input/output error")

    writer = Writer(tmp_path / FILENAME)
    writer.write(header())
    file = writer._file
    writer._file = Stuck(file, 20)
    with pytest.raises(OSError, match="No space left"):
        writer.write(VISIT)
    file.close()
    # What is left of the record is an unfinished line.
    results = read_results(tmp_path / FILENAME)
    assert (kept(results), results.cut_off) == ([], 20)
