"""Files of both schemas are read: small samples of real runs, and everything that is published."""

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gradbench.analyse.summary import summarise
from gradbench.define.planner import plan_run
from gradbench.record import results, schema1
from gradbench.record.lines import SCHEMA, read_lines
from gradbench.record.plan import Request
from gradbench.record.results import read_results
from gradbench.versus import records as versus
from gradbench.versus.judge import judge_trial
from gradbench.versus.records import read_trial
from studies.files import read_records
from studies.instrument.order import Carried
from studies.instrument.peers.tool import Reading
from studies.instrument.simulation import Coverage
from studies.regressions import asv_trials, versus_trials

# Files of the same commands, by the last version that wrote schema 1 and by the first that wrote schema 2.
# records.jsonl holds records of other runs, of the kinds that these two have none of.
SAMPLES = Path(__file__).parent / "samples"
REPORTS = Path(__file__).parents[1] / "reports"

# Only an accelerator gives the first, only a side that fails the second, and only an extension a figure. Only
# a run that chooses what it measures has a look, only a long model of the user's an execution, only a file of
# the user's an anatomy and faults, and only versions of one an agreement.
BY_HAND = {
    1: [
        {"type": "kernels", "comparison": "c", "lane": "yardstick", "count": 2, "seconds": 1e-5},
        {"type": "side_failure", "side": "B", "failure": {
            "type": "failure", "number": 1, "comparison": "c", "lane": "reference", "stage": "time",
            "kind": "died", "message": "the process ended"}},
    ],
    2: [
        {"type": "kernels", "comparison": "c", "variant": "calibration_task", "count": 2, "seconds": 1e-5},
        {"type": "look", "spent": 0.25, "open": {"c": 0.5}, "says": "1 of 1 comparisons"},
        {"type": "execution", "comparison": "c", "variant": "no_grad", "seconds": 0.5,
            "same_as": "requires_grad_false", "operators": 8, "declared": True},
        {"type": "agreement", "comparison": "c", "variant": "new.py", "error": None, "shapes": [[4, 2], [4]],
            "same_x": False},
        {"type": "figure", "comparison": "c", "variant": "tracked", "metric": "graph_nodes", "value": 2.0},
        {"type": "anatomy", "trains": True, "parameters": 8, "buffers": 4, "input": 4, "gradients": 8,
            "kept": [{"module": "0", "bytes": 4, "role": "activation", "operator": "relu", "shape": [1],
                "dtype": "float32", "line": "net.py:3", "also": ["1"], "passes_on": True}],
            "optimizer": {"name": "Adam", "state": 16, "peak": 8, "seconds": 0.5},
            "changed": {"freeze": {"gradients": 4, "state": 8}},
            "batches": [{"samples": 1, "peak": 4}], "fit": 100, "predicted": 2,
            "verified": {"samples": 2, "peak": 8}, "left_out": {"batch_1": "the loss takes no other"}},
        {"type": "fault", "kind": "does not work under", "sentence": "under no_grad() it raises",
            "line": "net.py:3", "bytes": 8, "seconds": 0.5},
        {"type": "side_failure", "side": "B", "failure": {
            "type": "failure", "number": 1, "comparison": "c", "variant": "baseline", "stage": "time",
            "kind": "died", "message": "the process ended"}},
    ],
}  # fmt: skip


def records(schema):
    """By type, every record of the samples of a schema as plain data."""
    found = {}
    for path in sorted((SAMPLES / f"schema{schema}").glob("*.jsonl")):
        for record in map(json.loads, path.read_text().splitlines()):
            kind = f"{path.stem} header" if record["type"] == "header" else record["type"]
            found.setdefault(kind, []).append(record)
    for record in BY_HAND[schema]:
        found.setdefault(record["type"], []).append(record)
    return found


OLD, NEW = records(1), records(SCHEMA)
# What no file of schema 1 says: figures of extensions, looks, what is executed, what is seen of files of the
# user's, how far versions agree, and how methods are shown that were not timed.
NEW_KINDS = {"figure", "look", "execution", "anatomy", "fault", "agreement"}
NEW_NAMES = {"labels"}
KINDS = {
    **{each.__struct_config__.tag: each for each in (*get_args(results.Record), *get_args(versus.Record))},
    "results header": results.Header,
    "versus header": versus.Header,
}
del KINDS["header"]


def outline(value, key=""):
    """The value as far as two runs of one command agree: figures and sentences are their types."""
    if isinstance(value, dict):
        return {name: outline(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [outline(each, key) for each in value]
    if key in ("name", "role", "variant", "comparison", "id", "trait", "stage", "kind", "schema", "side"):
        return value
    return "number" if type(value) in (int, float) else type(value).__name__


def test_the_samples_have_every_record_that_there_is():
    assert OLD.keys() | NEW_KINDS == NEW.keys() == KINDS.keys()
    assert schema1._CHANGES.keys() - {"header"} <= KINDS.keys()


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NEW_KINDS))
def test_a_record_of_schema_1_becomes_what_a_file_of_schema_2_holds(kind):
    key = [outline({name: each[name] for name in each.keys() - NEW_NAMES}, kind) for each in NEW[kind]]
    assert [outline(schema1.upgrade(each), kind) for each in OLD[kind]] == key


def as_far_as(plain, read):
    """What was read, without the fields that have come since: those of dicts that `plain` does not have."""
    if isinstance(plain, dict):
        return {name: as_far_as(plain[name], each) for name, each in read.items() if name in plain}
    if isinstance(plain, list):
        return [as_far_as(one, each) for one, each in zip(plain, read, strict=True)]
    return read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schema", [1, SCHEMA])
def test_reading_a_record_loses_nothing(schema, kind):
    """Reading would leave out, without a word, a field whose name the record does not have."""
    plain = [schema1.upgrade(each) for each in OLD.get(kind, ())] if schema == 1 else NEW[kind]
    read = json.loads(msgspec.json.encode([msgspec.convert(each, KINDS[kind]) for each in plain]))
    assert plain == as_far_as(plain, read)


@pytest.mark.parametrize("schema", [1, SCHEMA])
def test_a_run_of_either_schema_is_read_and_summarised(schema):
    found = read_results(SAMPLES / f"schema{schema}" / "results.jsonl")
    assert (found.schema, found.header.schema) == (schema, SCHEMA)
    (comparison,) = summarise(found).comparisons
    assert comparison.passes == 2
    assert comparison.comparison.baseline.name == "requires_grad_false"
    assert all(each.time and each.memory for each in comparison.methods)


@pytest.mark.parametrize("schema", [1, SCHEMA])
def test_a_trial_of_either_schema_is_read_and_judged(schema):
    path = SAMPLES / f"schema{schema}" / "versus.jsonl"
    assert read_lines(path, versus.FORMAT).schema == schema
    judged = judge_trial(read_trial(path))
    assert judged.pairs == 1
    assert judged.calibration_task is not None
    assert all(each.seconds and each.memory == () for each in judged.variants)


def published(pattern):
    """A parameter for each published file; none would leave a test without a case, and is an error."""
    paths = sorted(REPORTS.glob(pattern))
    assert paths, pattern
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in paths]


def unknown(used, comparisons):
    """By comparison, the names that records use and the plan does not have; none where all is well."""
    known = {each.id: {variant.name for variant in each.variants} for each in comparisons}
    return [(key, set(names) - known[key]) for key, names in used if set(names) - known[key]]


@pytest.mark.parametrize("path", [*published("runs/*/*.jsonl.gz"), *published("instrument/data/*.jsonl.gz")])
def test_a_published_run_is_read(path):
    found = read_results(path)
    assert found.visits
    assert found.cut_off == 0
    used = [(each.comparison, each.variants) for each in found.visits]
    used += [(each.comparison, [each.variant]) for each in (*found.memory, *found.timelines, *found.kernels)]
    assert not unknown(used, found.header.plan.comparisons)
    assert all(each.baseline for each in found.header.plan.comparisons)


@pytest.mark.parametrize("path", published("releases/**/*.jsonl.gz"))
def test_a_published_trial_is_read(path):
    found = read_trial(path)
    assert found.visits
    assert found.end is not None
    used = [(each.comparison, each.variants) for each in found.visits]
    used += [(each.memory.comparison, [each.memory.variant]) for each in found.memory]
    assert not unknown(used, found.header.comparisons)
    roles = [[variant.role for variant in each.variants] for each in found.header.comparisons]
    assert all(each.count("calibration_task") == 1 for each in roles)


@pytest.mark.parametrize(("name", "kind"), [("simulation", Coverage), ("order", Carried), ("peers", Reading)])
def test_a_published_file_of_records_is_read(name, kind):
    assert read_records(REPORTS / "instrument" / "data" / f"{name}.jsonl", kind)


@pytest.mark.parametrize(("name", "kind"), [("asv", asv_trials.Trials), ("versus", versus_trials.Trials)])
def test_published_trials_of_regressions_are_read(name, kind):
    content = (REPORTS / "regressions" / "data" / f"{name}.json").read_bytes()
    assert msgspec.json.decode(content, type=kind)


def test_what_the_tables_of_schema_1_knew_by_name_stands_in_the_rows_now():
    variant = {"name": "tracked", "role": "method"}
    old = {
        "workload": "batch",
        "part": "",
        "lanes": [variant, {**variant, "name": "copy"}, {**variant, "name": "no_grad"}],
    }
    parts = [{**old, "workload": "accumulate", "part": part} for part in ("evaluation", "training")]
    header = schema1.upgrade({"type": "header", "plan": {"comparisons": [old, *parts]}})
    batch, evaluation, training = header["plan"]["comparisons"]
    assert [each["recommendable"] for each in batch["variants"]] == [False, False, True]
    assert (batch["headline"], batch["purpose"]) == (True, "Evaluate batch after batch")
    assert (evaluation["headline"], evaluation["purpose"]) == (True, "Add up a loss")
    assert (training["headline"], training["purpose"]) == (False, "")


def test_an_old_file_says_of_a_comparison_what_its_row_says_now():
    rows = {each.name: each for each in plan_run(Request()).comparisons}
    old = [{"workload": each.workload, "part": each.part, "lanes": []} for each in rows.values()]
    upgraded = schema1.upgrade({"type": "header", "plan": {"comparisons": old}})["plan"]["comparisons"]
    for each, row in zip(upgraded, rows.values(), strict=True):
        assert (each["headline"], each["purpose"]) == (row.headline, row.purpose), row.name
    assert schema1._PURPOSES.keys() <= rows.keys()
    assert set(schema1._HEADLINES) <= rows.keys()


def test_the_limit_of_a_row_is_its_copy_and_no_copy_is_recommended():
    roles = {"copy": "method", "tracked": "method", "reference": "reference", "yardstick": "yardstick"}
    lanes = [{"name": name, "role": role} for name, role in roles.items()]
    header = {"type": "header", "comparisons": [{"workload": "batch", "lanes": lanes}]}
    (comparison,) = schema1.upgrade(header)["comparisons"]
    found = [
        (each["name"], each["role"], each["limit"], each["recommendable"]) for each in comparison["variants"]
    ]
    assert found == [
        ("copy", "method", True, False),
        ("tracked", "method", False, False),
        ("baseline", "baseline", False, True),
        ("calibration_task", "calibration_task", False, True),
    ]


def test_a_record_of_each_kind_is_added_to_those_of_its_kind_alone():
    def lists(found):
        return {key: list(each) for key, each in vars(found).items() if isinstance(each, list)}

    header = msgspec.convert(NEW["results header"][0], results.Header)
    found = results.Results(Path("results.jsonl"), header)
    for kind in get_args(results.Record):
        if kind is results.Header:
            continue
        record = msgspec.convert(NEW[kind.__struct_config__.tag][0], kind)
        before = lists(found)
        found.add(record)
        changed = [each for key, each in lists(found).items() if each != before[key]]
        if kind is results.Anatomy:
            assert (found.anatomy, changed) == (record, [])
        else:
            assert changed == [[record]], kind


@pytest.mark.parametrize(
    "kind", [*KINDS.values(), results.Options, versus.Options], ids=lambda kind: kind.__name__
)
def test_what_was_read_cannot_be_changed(kind):
    assert kind.__struct_config__.frozen
