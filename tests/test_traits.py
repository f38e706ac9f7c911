"""The words come from what was observed, and from nothing else: each flips when what was observed flips."""

import ast
import itertools
import re
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradbench.analyse.traits import RULES, TABLES, Characteristics, characteristics, observed_in_words, words
from gradbench.define.methods import METHODS
from gradbench.define.probes import PROBES
from gradbench.record.observation import Observation
from gradbench.report.terminal.traits import SHORT, as_text

OF_METHODS = [probe for probe in PROBES if probe.work is not None]

each_trait = pytest.mark.parametrize("trait", RULES)


def observation(trait="persistence", method="m", observed=None, error=""):
    return Observation(trait, "Is it?", "observed = {}", method, observed or {}, error)


def test_a_row_has_an_id_a_question_and_a_source():
    assert len({probe.id for probe in PROBES}) == len(PROBES)
    for probe in PROBES:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", probe.id)
        assert re.fullmatch(r"[A-Z][^\n]*\?", probe.question)
        assert re.fullmatch(r"https://[a-z.]+/\S+", probe.source)


def test_what_is_asked_of_methods_is_what_a_row_of_the_table_says():
    columns = set(Characteristics.__struct_fields__) - {"method"}
    assert {probe.id for probe in OF_METHODS} == columns
    assert RULES.keys() <= columns


@pytest.mark.parametrize("probe", OF_METHODS, ids=lambda probe: probe.id)
def test_the_code_for_a_method_holds_the_lines_of_the_method_and_no_place_holder(probe):
    assert probe.code.count("VARIANT") == 1
    codes = [probe.asks(method) for method in METHODS]
    # detach() before no work is detach() after it; all others differ.
    assert len(set(codes)) >= len(METHODS) - 1
    for method, code in zip(METHODS, codes, strict=True):
        names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
        assert not names & {"VARIANT", "WORK"}
        for line in method.setup.splitlines() + method.within.splitlines():
            assert "WORK" in line or line.strip() in code


@each_trait
def test_each_combination_that_a_rule_knows_has_words_of_its_own(trait):
    rules = RULES[trait]
    assert len({rule.words for rule in rules}) == len(rules)
    assert len({tuple(rule.when.items()) for rule in rules}) == len(rules)
    assert all(rule.when.keys() == rules[0].when.keys() for rule in rules)
    assert {words(trait, rule.when) for rule in rules} == {rule.words for rule in rules}


@each_trait
def test_the_words_change_with_every_value_that_they_stand_for(trait):
    keys = list(RULES[trait][0].when)
    for values in itertools.product((False, True), repeat=len(keys)):
        observed = dict(zip(keys, values, strict=True))
        for key in keys:
            assert words(trait, observed) != words(trait, {**observed, key: not observed[key]})


@each_trait
def test_what_no_rule_knows_is_said_as_it_was_seen(trait):
    (rule, *_) = RULES[trait]
    for key in rule.when:
        incomplete = {other: value for other, value in rule.when.items() if other != key}
        assert words(trait, incomplete) == "other: " + ", ".join(f"{k}={v}" for k, v in incomplete.items())
        # A number is no answer to a question of yes or no.
        assert words(trait, {**rule.when, key: int(rule.when[key])}).startswith("other: ")
        assert words(trait, {**rule.when, key: None}).startswith("other: ")


def test_what_was_seen_beside_does_not_change_the_words():
    (rule, *_) = RULES["write"]
    assert words("write", {"gradient": 0.5, **rule.when}) == rule.words


@pytest.mark.parametrize(("trait", "name"), [("memory", "allocated"), ("graph", "kept")])
def test_bytes_are_said_as_counted_and_unknown_bytes_are_not_none(trait, name):
    assert words(trait, {name: 4_000_000}) == "4,000,000 B"
    assert words(trait, {name: 1}) == "1 B"
    assert words(trait, {name: 0}) == "none"
    assert words(trait, {name: None}) == f"other: {name}=None"
    assert words(trait, {"else": 0}) == "other: else=0"


def test_objects_are_said_as_counted_inside_and_afterwards():
    said = {
        (inside, kept): words("objects", {"inside": inside, "afterwards": kept})
        for inside, kept in itertools.product(("", "1 Tensor", "2 Tensor"), repeat=2)
    }
    assert len(set(said.values())) == len(said)
    assert said["", ""] == "none"
    assert said["1 Tensor", "1 Tensor"] == "1 Tensor"
    assert said["1 Tensor", ""] == "inside: 1 Tensor; kept: none"
    assert words("objects", {"inside": ""}) == "other: inside="


def test_a_trait_without_words_is_an_error():
    with pytest.raises(KeyError):
        words("zero_grad", {})


@each_trait
def test_no_words_hang_on_the_name_of_a_method(trait):
    for rule in RULES[trait]:
        for method in (*METHODS, None):
            name = method.name if method else "never heard of"
            (row,) = characteristics([observation(trait, name, dict(rule.when))])
            assert getattr(row, trait) == rule.words
            assert not method or method.label not in rule.words


def test_a_row_holds_what_was_asked_and_says_what_failed():
    general = observation("memory", "", {"allocated": 16})
    rows = characteristics(
        [
            observation("memory", "b", {"allocated": 8}),
            general,
            observation("graph", "a", error="RuntimeError: no"),
            observation("graph", "b", {"kept": 0}),
            observation("of another version", "b", {"kept": 0}),
        ]
    )
    assert rows == [
        Characteristics("b", memory="8 B", graph="none"),
        Characteristics("a", graph="failed: RuntimeError: no"),
    ]


def test_the_text_shows_the_words_the_failures_and_what_was_not_asked():
    text = as_text(
        [
            observation("memory", "no_grad", {"allocated": 8_000}),
            observation("graph", "no_grad", error="RuntimeError: [torch.FloatTensor [3]] is [bold]"),
            observation("zero_grad", "", {"after_one_backward": 4.5}),
            observation("square", "", error="ValueError: so"),
        ],
        str.upper,
        width=110,
        verbose=True,
    )
    for part in (
        "NO_GRAD",
        "8,000 B",
        "—",
        "[3]]",
        "[bold]",
        "the gradient after one backward: 4.5",
        "ValueError: so",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 110


def test_what_was_seen_beside_the_methods_is_told_in_words():
    observed = {
        "kept_without": 1_200,
        "second_without": False,
        "second_without_says": "Trying twice",
        "kept_with": 0,
        "second_with": True,
        "new_name": None,
    }
    assert observed_in_words(observation("retain_graph", "", observed)) == [
        "kept after a backward without it: 1,200 B",
        "a second backward without it works: no (Trying twice)",
        "kept after a backward with it: 0 B",
        "a second backward with it works: yes",
        "new name: none",
    ]
    assert observed_in_words(observation("training", "", {"at_7_5": 0.6954755187})) == [
        "the probability at 7.5: 0.6955"
    ]


def every_method():
    """For each trait a method for each of its rules, named by long labels."""
    observations = []
    for trait, rules in RULES.items():
        for place, rule in enumerate(rules):
            observations.append(observation(trait, f"method {place}", dict(rule.when)))
    return observations


def test_a_method_is_a_line_of_each_table_in_100_columns():
    text = as_text(every_method(), lambda name: f"{name}, object made once".rjust(27), width=100)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    methods = {each.method for each in every_method()}
    heads = [line for line in lines if line.startswith("method  ")]
    assert len(lines) == len(TABLES) * (2 + len(methods))
    assert len(heads) == len(TABLES)


def test_the_short_words_are_of_the_rules_and_heads_that_there_are():
    words = {rule.words for rules in RULES.values() for rule in rules}
    heads = {head for _, columns in TABLES for _, head in columns}
    assert set(SHORT) <= words | heads
    assert all(len(short) <= len(full) for full, short in SHORT.items())
    assert heads <= set(SHORT)


@pytest.mark.parametrize(
    ("inside", "afterwards", "shown"),
    [
        ("1 no_grad", "", "1 no_grad inside"),
        ("", "1 Tensor", "1 Tensor kept"),
        ("2 no_grad", "1 no_grad", "2 no_grad inside, 1 kept"),
        ("1 Tensor", "1 Tensor", "1 Tensor"),
    ],
)
def test_objects_are_told_in_a_few_words(inside, afterwards, shown):
    seen = {"inside": inside, "afterwards": afterwards}
    line = as_text([observation("objects", "m", seen)], str).splitlines()[5]
    assert re.split(r"\s{2,}", line)[3] == shown


def test_what_concerns_no_single_method_is_counted_and_shown_on_demand():
    seen = [observation("memory", "m", {"allocated": 0}), observation("square", "", {"at_2": 4.0})]
    assert as_text(seen, str).endswith("full words, and 1 more observation of no single method.")
    assert "at 2: 4" in as_text(seen, str, verbose=True)
    assert "at 2: 4" in as_text(seen[1:], str)


def test_nothing_observed_is_an_empty_text():
    assert as_text([], str) == ""


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
OBSERVATIONS = st.builds(
    Observation,
    trait=st.text(),
    question=st.text(),
    code=st.text(),
    method=st.text(),
    observed=st.dictionaries(st.text(), VALUES | st.text()),
    error=st.text(),
)


@given(OBSERVATIONS)
def test_a_record_comes_back_from_json_as_it_was(record):
    line = msgspec.json.encode(record)
    back = msgspec.json.decode(line, type=Observation)
    assert back == record
    assert [type(value) for value in back.observed.values()] == [
        type(value) for value in record.observed.values()
    ]
    assert msgspec.json.decode(line)["type"] == "observation"


def test_importing_the_table_and_making_its_text_imports_no_torch():
    code = (
        "import sys\n"
        "from gradbench.record.observation import Observation\n"
        "from gradbench.report.terminal.traits import as_text\n"
        "assert as_text([Observation('memory', '?', '', 'no_grad', {'allocated': 0})], str)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
