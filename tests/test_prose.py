"""The linter of our words finds what breaks a rule, and our documents, help and templates keep the rules."""

import json
import re
import statistics

import click
import pytest

from gradbench.cli.main import cli
from studies.prose.__main__ import ROOT, checked, files
from studies.prose.__main__ import main as lint
from studies.prose.passages import of_markdown, passages
from studies.prose.rules import LONGEST, OURS, faults, sentences, words

DOCUMENTS = [
    "README.md",
    "METHODOLOGY.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]

# As many words as a sentence may have.
LONG = " ".join(f"word{number}" for number in range(LONGEST))

# A sentence for every rule, and the words in it that break the rule.
BAD = {
    "The reader is told of it.": "is told",
    "The page says what is shown.": "what is shown",
    "The bytes are asked of the allocator.": "are asked of",
    "The two variants are told apart.": "told apart",
    "This row tells of a failure.": "tells of",
    "A run is held against another.": "held against",
    "The claims stand among the findings.": "stand among",
    "A variant is had by a look.": "is had",
    "All claims are listed, each with what was measured.": "each with what",
    "Of three variants, each is timed.": "each is",
    "The worker is a process of its own.": "own.",
    "Recording is dearer than the block.": "dearer",
    "It holds whatever the order.": "whatever",
    "The model is fed with samples.": "fed",
    "A visit is left out for want of time.": "for want of",
    "The clock by itself alone costs 40 ns.": "by itself alone",
    "Every round draws its order anew.": "anew",
    "The worker waits, and hence the clock stops.": "hence",
    "Visit 3 comparison(s).": "comparison(s)",
    f"A run ends. A run {LONG}.": f"A run {LONG}.",
    "What a batch holds.": "What",
    "Of every order the first.": "Of",
    "Those with a graph.": "Those",
    "Who measures asks here.": "Who",
    "The the run ends.": "The the",
}
GOOD = [
    "The report shows the ratio of each variant to its baseline.",
    "What does a control cost? One call takes 40 ns.",
    "The user's own file runs down, not up.",
    "The phrase `told apart` and the option `--own` are code.",
    f"{LONG}.",
    f"{LONG}. {LONG.title()} – – –",
]


VERBS = ("Build", "Check", "Compare", "Draw", "Examine", "Judge", "List", "Measure", "Show", "Write")


def broken(text):
    """What breaks a rule in this Markdown, each on one line."""
    return [" ".join(part.split()) for _, part, _ in faults(list(of_markdown(text)))]


def lines(path):
    return {line: " ".join(text.split()) for line, text, _ in faults(passages(path))}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_sentence_breaks_its_rule(text):
    assert BAD[text] in broken(text)


@pytest.mark.parametrize("text", GOOD)
def test_a_good_sentence_breaks_none(text):
    assert broken(text) == []


def test_every_rule_of_ours_has_a_bad_sentence():
    ran = {message for text in BAD for _, _, message in faults(list(of_markdown(text)))}
    for rule in OURS:
        assert any(re.fullmatch(re.escape(rule.message).replace(r"\{\}", ".+"), each) for each in ran), (
            rule.message
        )


def test_a_phrase_is_found_over_the_end_of_a_line_and_not_over_the_end_of_a_paragraph():
    assert broken("Both are told\napart by it.") == ["are told", "told apart"]
    assert broken("Both were told.\n\nApart from this, none.") == ["were told"]
    assert broken("Both tell\n\napart") == []


def test_code_counts_as_one_word_and_breaks_no_rule():
    (sentence,) = [
        each for _, each in sentences("\n".join(text for _, text in next(of_markdown("`a b c` is 1.5 s."))))
    ]
    assert words(sentence) == 4
    assert broken("    hence the code\n\n```\nhence\n```") == []


def test_comments_docstrings_and_messages_of_python_are_read_and_code_is_not(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        '''"""A module.

Its second line is dearer.
"""

import hence  # which is dearer

# Two lines of a comment that are held
# against each other.
NAMES = {"dearer": "hence", "code": "with hence: dearer(1, 2)"}


def dearer(hence):
    """It is told."""
    raise ValueError(f"expected a number for {hence}, fed with {dearer}; give one")


CODE = f"import hence\\n{hence()}import dearer as anew\\n"
'''
    )
    assert lines(path) == {
        3: "dearer",
        6: "dearer",
        8: "held against",
        14: "is told",
        15: "fed",
    }


def test_a_semicolon_ends_a_sentence_in_a_message_alone(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(f'raise ValueError("{LONG}; give one")\n# {LONG}; one more.\n')
    assert lines(path) == {2: f"{LONG}; one more."}


def test_an_argument_and_its_sentences_are_one_passage(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        f'"""A module.\n\n    Args:\n        first: {LONG}\n'
        '        second: the bytes\n            are told.\n    """\n'
    )
    assert lines(path) == {4: f"`_`: {LONG}", 6: "are told"}


def test_an_example_in_a_docstring_is_no_prose(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""A module.\n\n>>> print("hence")\nhence\n\nIt is hence.\n"""\n')
    assert lines(path) == {6: "hence"}


def test_text_and_titles_of_a_template_are_read_and_scripts_and_values_are_not(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        "<style>hence {}</style>\n"
        "{# A comment that is dearer. #}\n"
        "<p class='hence'>{{ hence }} is <b>held</b>\nagainst it.</p>\n"
        "{% for hence in whatever %}<a title='It is fed.'>A</a>{% endfor %}\n"
        "<p>{% if hence %}are{% else %}told{% endif %} <code>hence</code></p>\n"
        "<script>hence()</script>\n"
    )
    assert lines(path) == {2: "dearer", 3: "held against", 5: "fed"}


def test_the_cells_of_a_notebook_are_read(tmp_path):
    path = tmp_path / "notebook.ipynb"
    cells = [
        {"cell_type": "markdown", "source": ["Text.\n", "It is dearer."]},
        {"cell_type": "code", "source": ["x = 1  # anew"]},
    ]
    path.write_text(json.dumps({"cells": cells}))
    assert lines(path) == {1: "dearer", 2: "anew"}


def test_the_linter_names_file_line_words_and_what_to_write_and_ends_with_1(tmp_path, capsys):
    bad, good = tmp_path / "bad.md", tmp_path / "good.md"
    bad.write_text("A heading\n\nIt is dearer.\n")
    good.write_text("It is slower.\n")
    assert lint([str(bad), str(good)]) == 1
    assert capsys.readouterr().out == f'{bad}:3: "dearer": write: slower, or: more expensive\n'
    assert lint([str(good)]) == 0
    assert capsys.readouterr().out == ""


def test_all_our_words_keep_the_rules(capsys):
    code = lint([])
    assert code == 0, capsys.readouterr().out


def test_every_file_with_prose_is_checked_but_the_rules():
    names = {path.relative_to(ROOT).as_posix() for path in checked()}
    assert {"README.md", "docs/extending.md", "gradbench/guard/time.py", "gradbench/report/how.html"} <= names
    assert "studies/prose/rules.py" not in names
    assert names >= {path.relative_to(ROOT).as_posix() for path in files(ROOT / "gradbench")}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_half_of_the_sentences_of_a_document_have_at_most_16_words(name):
    text = "\n\n¶\n\n".join("\n".join(line for _, line in passage) for passage in passages(ROOT / name))
    counts = [words(each) for _, each in sentences(text) if words(each) > 3]
    if not counts:
        # It only includes another document, which is checked itself.
        assert "{include} ../" in (ROOT / name).read_text()
        return
    assert statistics.median(counts) <= 16


@pytest.mark.parametrize("command", list(cli.commands.values()), ids=list(cli.commands))
def test_the_help_of_a_command_begins_with_a_verb_and_that_of_an_option_with_a_capital(command):
    assert command.help.split()[0] in VERBS
    for option in command.params:
        if isinstance(option, click.Option):
            assert re.match(r"(?!(Of|For|At|Also|Instead|Where|What)\b)[A-Z][a-z]+ ", option.help), (
                option.help
            )
