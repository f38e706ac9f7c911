"""README and the pages of docs/: the build has no warning, the examples run, commands and links are right."""

import html
import os
import pkgutil
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import click
import pytest
from conftest import GRADBENCH

from gradbench.cli.main import cli
from gradbench.define.workloads import workloads
from gradbench.extension import GROUP
from gradbench.pytest_plugin import Guards

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# Those of our words; a page that includes a document of the root has nothing else.
INCLUDE = "```{include}"
WRITTEN = [page for page in (ROOT / "README.md", *PAGES) if not page.read_text().startswith(INCLUDE)]
DOCUMENTS = [*(ROOT / name for name in ("README.md", "METHODOLOGY.md", "CONTRIBUTING.md")), *PAGES]
# Parts that `make publish` writes.
MADE = re.compile(r"<!-- (\w+): made by make publish -->.*?<!-- end of \1 -->", re.DOTALL)
SAMPLE = ROOT / "tests" / "samples" / "schema2" / "results.jsonl"

# They answer from a results file, in a second; of the others only the command line is checked.
QUICK = {"report", "figures", "export", "compare", "claims", "list"}


def named(path):
    return path.name


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as `make docs` builds them; links lead to the published reports of this checkout."""
    pytest.importorskip("sphinx", reason="sphinx is not installed")
    folder = tmp_path_factory.mktemp("site")
    options = ["-q", "-W", "--keep-going", "-n", "-E", "-d", folder / "doctrees"]
    # Without torch: whoever writes a page needs none, and no build waits for it.
    build = (
        "import sys; from sphinx.cmd.build import main; code = main(sys.argv[1:]); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", build, *options, ROOT / "docs", folder / "html"],
        env={**os.environ, "REPORTS": os.path.relpath(ROOT / "reports", folder / "html")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_the_pages_build_without_a_warning_and_their_links_lead_somewhere(site):
    pages = {path.name: path.read_text() for path in site.glob("*.html")}
    ids = {name: set(re.findall(r'\bid="([^"]+)"', text)) for name, text in pages.items()}
    assert {page.with_suffix(".html").name for page in PAGES} <= set(pages)
    for name, text in pages.items():
        for target in map(html.unescape, re.findall(r'\b(?:href|src)="([^"]*)"', text)):
            if re.match(r"\w+:", target):
                continue
            path, _, fragment = target.partition("#")
            path = path.partition("?")[0]
            assert (site / path).exists(), f"{name}: {target}"
            if fragment and (path or name) in ids:
                assert fragment in ids[path or name], f"{name}: {target}"
        assert "{{" not in text, name


def test_the_pages_show_what_stored_data_say(site):
    for name, words in (
        ("tutorial.html", "net.py: 19,210 parameters"),
        ("model.html", "resnet18.py: 11,689,512 parameters"),
        ("studies.html", "simulated machines"),
        ("commands.html", "gradbench-versus"),
        ("api.html", 'id="gradbench.compare"'),
        ("glossary.html", "A/A twin"),
        ("method.html", "requires_grad_(False)"),
    ):
        assert words in (site / name).read_text(), name


def test_no_page_scrolls_sideways_on_a_phone(site):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("there is no Chromium; `make browser` installs it where it can")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 360, "height": 740})
        for path in sorted(site.glob("*.html")):
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path.name
        browser.close()


@pytest.mark.parametrize(
    ("written", "folder", "built"),
    [
        ("[a](METHODOLOGY.md#the-model)", "", "[a](method.md#the-model)"),
        ("[a](docs/model.md)", "", "[a](model.md)"),
        ("[a](../METHODOLOGY.md)", "docs", "[a](method.md)"),
        ("[a](../reports/index.html)", "docs", "[a](reports:index.html)"),
        ("[a](reports/instrument/index.html#clocks)", "", "[a](reports-at:instrument/index.html#clocks)"),
        ("[a](../examples)", "docs", "a"),
        ("[a](https://example.org/a.md#b)", "docs", "[a](https://example.org/a.md#b)"),
        ("[a](#b)", "docs", "[a](#b)"),
        ("![a](reports/a.svg)", "", "![a](../reports/a.svg)"),
        ("[![a](reports/a.png)](reports/index.html)", "", "[![a](../reports/a.png)](reports:index.html)"),
        ('<img src="reports/a.svg">', "", '<img src="../a.svg">'),
    ],
)
def test_a_link_of_the_repository_leads_to_a_page_of_the_site(written, folder, built, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    from links import relink

    assert relink(f"See {written}.", ROOT / folder, "..") == f"See {built}."


# Examples and commands


def run_python(example):
    """Run the block; and what it defines as tests, with the fixture."""
    names = example.namespace
    before = set(names)
    exec(compile("\n" * example.line + example.parsed, example.path, "exec"), names)
    for name in set(names) - before:
        if name.startswith("test_"):
            names[name](Guards(lambda *_: None))


def command_lines(text):
    """The command lines of a block of shell, without comments and without where their output goes."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words:
            ends = [place for place, word in enumerate(words) if word in (">", "|", "&&")]
            yield line, words[: min(ends, default=len(words))]


def check_command(words):
    """Fail where gradbench would refuse this command line, or has no such command."""
    name, *arguments = words[1:]
    assert name in cli.commands, f"there is no command {name}"
    try:
        # As `gradbench` itself does: a command without its group would keep another help option.
        with cli.make_context("gradbench", [name, "--help"], resilient_parsing=True) as group:
            cli.commands[name].make_context(name, arguments, parent=group)
    except click.UsageError as error:
        pytest.fail(f"{shlex.join(words)}: {error.format_message()}")


def run_shell(example):
    for line, words in command_lines(example.parsed):
        if words[0] == "make":
            targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
            assert words[1] in targets, line
        elif words[0] == "gradbench":
            check_command(words)
            if words[1] in QUICK:
                path = os.pathsep.join([str(GRADBENCH.parent), os.environ["PATH"]])
                environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
                done = subprocess.run(
                    line, shell=True, env=environment, capture_output=True, text=True, timeout=60
                )
                assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A folder to type commands in: with runs, and the files that the pages name."""
    for name in ("before", "after"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        shutil.copy(SAMPLE, tmp_path / "runs" / name)
    for name in ("net", "old", "new", "a", "b", "mine", "FILE"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_the_shell_of_a_page_runs_or_is_understood(page, beside):
    sybil = pytest.importorskip("sybil", reason="sybil is not installed")
    from sybil.parsers.myst import CodeBlockParser

    blocks = sybil.Sybil([CodeBlockParser("sh", run_shell)]).parse(page)
    for example in blocks.examples():
        example.evaluate()


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_the_python_of_a_page_runs_in_its_order(page, monkeypatch):
    sybil = pytest.importorskip("sybil", reason="sybil is not installed")
    from sybil.parsers.myst import CodeBlockParser

    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    for example in sybil.Sybil([CodeBlockParser("python", run_python)]).parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_a_command_that_a_document_names_is_one(page, beside):
    """Between backticks, in tables and sentences; capitals are the reader's to replace."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for line in re.findall(r"`(gradbench [a-z][^`…]*)`", text):
        for _, words in command_lines(line):
            check_command(words) if len(words) > 2 else cli.commands[words[1]]


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_a_name_that_a_document_imports_or_shows_between_backticks_is_there(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", text):
        if re.match(r"(from gradbench[\w.]* )?import gradbench|from gradbench[\w.]* import ", code):
            exec(code, {})
        for name in re.findall(r"(?<![\w./`-])gradbench(?:\.\w+)+", code):
            # The group of the entry points has a name with dots, and is no module.
            assert name == GROUP or pkgutil.resolve_name(name)


@pytest.mark.slow
def test_the_leak_of_the_example_is_found_with_the_words_of_the_page(tmp_path):
    page = (ROOT / "docs" / "model.md").read_text()
    leaking, screen = re.search(
        r"^## A leak.*?```python\n(.*?)```.*?```text\nWatch out +(.*?)```", page, re.DOTALL | re.MULTILINE
    ).groups()
    summed = leaking.replace("total + error ", "total + error.item() ")
    listed = summed.replace("append(error.item())", "append(error)")

    # In a process of its own: a file may set the state of torch.
    look = (
        "import sys, torch; from gradbench.measure.user_file import inspect_user_file as look; "
        "seen = [look(text, 'loop.py', 0, torch.get_num_threads()) for text in sys.argv[1:]]; "
        "words = [' '.join(f'{each.line}: {each.sentence}.' for each in one.faults) for one in seen]; "
        "print(*words, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, leaking, summed, listed],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    of_leaking, of_summed, of_listed = done.stdout.split("\n")[:3]
    assert of_leaking == " ".join(screen.split())
    assert of_summed == ""
    line = 1 + listed[: listed.index("history.append")].count("\n")
    assert of_listed.startswith(f"loop.py:{line}: each of 2 training steps in a row leaves 4 B")
    assert "`history` holds" in of_listed


def test_there_are_examples_to_run():
    """Without them the tests above would pass."""
    text = "".join(page.read_text() for page in WRITTEN)
    assert text.count("```python") >= 12
    assert text.count("```sh") >= 12


def test_every_command_and_every_workload_is_described():
    commands = (ROOT / "docs" / "commands.md").read_text()
    assert [name for name in cli.commands if f"| `gradbench {name}" not in commands] == []
    table = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "workloads.md").read_text(), re.MULTILINE)
    described = set(re.findall(r"`(\w+)`", " ".join(table)))
    assert {each.name for each in workloads()} - described == set()


# Links and words


def slug(heading):
    """The name by which a link reaches a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_what_a_document_links_to_is_there(page):
    for target, fragment in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if fragment and path.suffix == ".md":
            text = path.read_text()
            if text.startswith(INCLUDE):
                text = (path.parent / text.split()[1]).read_text()
            headings = map(slug, re.findall(r"^#+ (.*)$", text, re.MULTILINE))
            assert fragment in headings, f"{target}#{fragment}"


def sentences(text):
    """The sentences of a page, without code, tables, headings and addresses."""
    text = MADE.sub("", text)
    text = re.sub(r"^```.*?^```$", "\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^(#|\|).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "code", text))
    parts = re.split(r"\n\s*\n|^\s*(?:[-*]|\d+\.) ", text, flags=re.MULTILINE)
    found = [each for part in parts for each in re.split(r"(?<=[.!?:;])\s+", " ".join(part.split()))]
    return [each for each in found if re.search(r"\w", each)]


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_the_sentences_of_a_page_are_short(page):
    lengths = {each: len(re.findall(r"\w[\w'’-]*", each)) for each in sentences(page.read_text())}
    assert [each for each, words in lengths.items() if words > 25] == []
    assert statistics.median([*lengths.values(), 0]) <= 16


def test_readme_is_short_and_begins_with_the_two_commands():
    text = (ROOT / "README.md").read_text()
    assert len(MADE.sub("", text).split()) <= 950
    first = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    assert [words[:2] for _, words in command_lines(first)] == [["make", "report"], ["make", "test"]]
