"""Publishing: what a run leaves in reports/ and in the README comes from its results, and is made again."""

import gzip

import pytest
from synthetic import memory, results

from gradbench.errors import RequestError
from gradbench.plan import Request
from gradbench.results import FILENAME, Writer, read_results
from studies.publish.__main__ import BEGIN, END, publish, splice

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
    assert "68 claims" in index
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


def test_a_readme_without_a_place_for_the_table_is_refused():
    for text in ("nothing", BEGIN, f"{END}\n"):
        with pytest.raises(RequestError, match="put them where the table belongs"):
            splice(text, "table")
