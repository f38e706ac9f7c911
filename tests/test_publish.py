"""Publishing: what a run leaves in reports/ and in the README comes from its results, and is made again."""

import gzip
import re
import shutil

import pytest
from synthetic import memory, results

from gradbench.analyse.claims import CLAIMS
from gradbench.errors import RequestError
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, read_results
from studies.publish import site
from studies.publish.__main__ import BEGIN, END, ROOT, publish, rebuild, splice

README = f"before\n{BEGIN}\nold table\n{END}\nafter\n"


@pytest.fixture
def run(tmp_path):
    """A folder with a run of two workloads, and a README with a place for its table."""
    made = results(
        {"no_grad": 1.4}, request=Request(workloads=("control", "elementwise"), sizes=("small", "large"))
    )
    memory(made, "no_grad", peak=400)
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    writer = Writer(folder / FILENAME)
    for record in (made.header, *made.passes, *made.visits, *made.memory, *made.ends):
        writer.write(record)
    writer.close()
    readme = tmp_path / "README.md"
    readme.write_text(README)
    return folder, tmp_path / "reports", readme


def everything(reports, readme):
    return {path: path.read_bytes() for path in (*reports.rglob("*.*"), readme) if path.is_file()}


def test_a_run_is_published_with_its_results_its_report_an_index_and_a_table(run):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    copy = folder / f"{FILENAME}.gz"
    assert gzip.decompress(copy.read_bytes()) == (source / FILENAME).read_bytes()
    assert len(read_results(copy).visits) == len(read_results(source).visits)
    assert "Is it true?" in (folder / "index.html").read_text()
    index = (reports / "index.html").read_text()
    assert f'href="runs/{folder.name}/index.html"' in index
    assert f"{len(CLAIMS)} claims" in index
    table = readme.read_text()
    assert table.startswith("before\n")
    assert table.endswith("after\n")
    assert "old table" not in table
    (row,) = (line for line in table.splitlines() if line.startswith("| `torch.no_grad()` |"))
    assert row.count("1.40") == 4


def test_publishing_again_changes_nothing(run):
    publish(*run)
    _, reports, readme = run
    before = everything(reports, readme)
    publish(*run)
    assert everything(reports, readme) == before


def test_a_published_run_can_be_published_from_its_compressed_results(run):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    before = everything(reports, readme)
    publish(folder / f"{FILENAME}.gz", reports, readme)
    assert everything(reports, readme) == before


def test_everything_is_made_again_from_the_stored_data_alone(run):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    before = everything(reports, readme)
    shutil.rmtree(source)
    for page in (folder / "index.html", reports / "index.html"):
        page.unlink()
    readme.write_text(README)
    made = rebuild(reports, readme)
    assert everything(reports, readme) == before
    assert made == [folder / "index.html", reports / "index.html"]


def test_what_is_not_there_cannot_be_made_again(tmp_path):
    with pytest.raises(RequestError, match="publish one with RUN=folder"):
        rebuild(tmp_path, tmp_path / "README.md")


def test_nothing_is_written_where_the_readme_has_no_place(run):
    source, reports, readme = run
    readme.write_text("nothing")
    with pytest.raises(RequestError, match="put them where the table belongs"):
        publish(source, reports, readme)
    assert not reports.exists()


def test_a_page_is_added_in_one_place_and_linked_from_all(run, monkeypatch):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    assert "torch releases" not in (folder / "index.html").read_text()
    added = site.Page("torch releases", "releases/index.html", "What changed", "From one to the next.")
    monkeypatch.setattr(site, "PAGES", (*site.PAGES, added))
    rebuild(reports, readme)
    # It is not there yet.
    assert "torch releases" not in (folder / "index.html").read_text()
    (reports / "releases").mkdir()
    (reports / "releases" / "index.html").write_text("made by another tool")
    rebuild(reports, readme)
    assert '<a href="../../releases/index.html">torch releases</a>' in (folder / "index.html").read_text()
    assert '<a href="releases/index.html">torch releases' in (reports / "index.html").read_text()
    assert (reports / "releases" / "index.html").read_text() == "made by another tool"


def test_no_published_page_takes_anything_from_elsewhere():
    for page in (ROOT / "reports").rglob("*.html"):
        # A link is followed by a reader; what is taken from an address is taken by the page.
        taken = re.findall(r"""<(?!a\b)[^>]*\b(?:src|href)=["']?(?!#|data:)[^"'>][^>]*>""", page.read_text())
        assert not taken, page


@pytest.mark.parametrize("name", ["README.md", "METHODOLOGY.md", "CONTRIBUTING.md"])
def test_what_a_document_links_to_is_there(name):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_the_published_pages_are_those_that_are_made_now(tmp_path):
    reports, readme = tmp_path / "reports", tmp_path / "README.md"
    shutil.copytree(ROOT / "reports", reports)
    shutil.copy(ROOT / "README.md", readme)
    rebuild(reports, readme)
    for page in (*sorted(reports.rglob("index.html")), readme):
        published = ROOT / page.relative_to(tmp_path)
        # Last digits, and how figures are drawn, differ between processors and releases of matplotlib.
        made, there = (
            re.sub(r"<svg.*?</svg>|\d", "", each.read_text(), flags=re.DOTALL) for each in (page, published)
        )
        assert made == there, f"{published}: run `make publish`"


def test_a_readme_without_a_place_for_the_table_is_refused():
    for text in ("nothing", BEGIN, f"{END}\n"):
        with pytest.raises(RequestError, match="put them where the table belongs"):
            splice(text, "table")
