"""Publishing: what a run leaves in reports/ and in the README comes from its results, and is made again."""

import gzip
import itertools
import re
import shutil

import msgspec
import pytest
from PIL import Image
from synthetic import memory, results

from gradbench.analyse.claims import verdicts
from gradbench.analyse.summary import summarise
from gradbench.errors import RequestError
from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from gradbench.record.results import FILENAME, read_results
from gradbench.report.glance import glance_of, in_words
from studies.files import read_analysis
from studies.publish import documents, pictures, site
from studies.publish.__main__ import ROOT, publish, rebuild
from studies.publish.large_work import large_work

BEGIN, END = documents.begin("headline"), documents.end("headline")
README = f"before\n{BEGIN}\nold table\n{END}\nafter\n"


@pytest.fixture
def run(tmp_path):
    """A folder with a run of two workloads, and a README with a place for its table."""
    made = results(
        {"no_grad": 1.4}, request=Request(workloads=("control", "elementwise"), sizes=("small", "large"))
    )
    memory(made, "no_grad", peak=400)
    readme = tmp_path / "README.md"
    readme.write_text(README)
    return write(made, tmp_path / "runs" / "one"), tmp_path / "reports", readme


def write(made, folder):
    """Write results as the run in this folder."""
    folder.mkdir(parents=True)
    writer = Writer(folder / FILENAME)
    for record in (made.header, *made.passes, *made.visits, *made.memory, *made.ends):
        writer.write(record)
    writer.close()
    return folder


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
    assert f"{len(verdicts(summarise(read_results(copy))))} claims" in index
    shown = read_analysis(copy)
    assert f"<h1>{shown.answer.sentence}</h1>" in index
    assert in_words(glance_of(shown)) in index
    for words in (index, readme.read_text()):
        assert re.search(r"\d+ claims: \d+ (true|false|depends?|open)", words)
        assert not re.search(r"\d (supported|refuted|unresolved)", words)
    table = readme.read_text()
    assert table.startswith("before\n")
    assert table.endswith("after\n")
    assert "old table" not in table
    assert f"- {shown.answer.sentence}" in table
    assert "](reports/glance.png)](" in table


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
    drawn = [reports / "glance.png", reports / "card.png"]
    for page in (folder / "index.html", reports / "index.html", *drawn):
        page.unlink()
    readme.write_text(README)
    made = rebuild(reports, readme)
    assert everything(reports, readme) == before
    assert made == [folder / "index.html", reports / "index.html", *drawn]


def test_the_pictures_show_the_newest_run_in_the_sizes_that_readers_need(run, tmp_path):
    source, reports, readme = run
    publish(source, reports, readme)
    with Image.open(reports / "card.png") as card, Image.open(reports / "glance.png") as glance:
        assert card.size == (1280, 640)
        assert glance.size[0] == 1600
        # Opaque and white: it can be read on a dark page as well.
        assert glance.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    assert "no_grad(): 40." in words(reports / "glance.png")
    before = (reports / "glance.png").read_bytes()
    request = Request(workloads=("control", "elementwise"), sizes=("small", "large"))
    newer = results({"no_grad": 1.6}, request=request)
    newer.header = msgspec.structs.replace(newer.header, created="2027-01-02T03:04:05+00:00")
    publish(write(newer, tmp_path / "runs" / "two"), reports, readme)
    assert "no_grad(): 60." in words(reports / "glance.png")
    assert (reports / "glance.png").read_bytes() != before


def test_a_run_with_too_little_for_a_picture_leaves_none_of_an_older_run(run, tmp_path):
    source, reports, readme = run
    publish(source, reports, readme)
    newer = results({}, request=Request(workloads=("elementwise",), sizes=("small",)))
    newer.header = msgspec.structs.replace(newer.header, created="2027-01-02T03:04:05+00:00")
    publish(write(newer, tmp_path / "runs" / "two"), reports, readme)
    assert not list(reports.glob("*.png"))


def test_what_is_not_there_cannot_be_made_again(tmp_path):
    with pytest.raises(RequestError, match="publish one with RUN=folder"):
        rebuild(tmp_path, tmp_path / "README.md")


def test_nothing_is_written_where_the_readme_has_no_place(run):
    source, reports, readme = run
    readme.write_text("nothing")
    with pytest.raises(RequestError, match="put them where the headline belongs"):
        publish(source, reports, readme)
    assert not reports.exists()


def test_the_readme_lists_the_answer_and_each_recommendation_of_the_newest_run(run):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    answer = read_analysis(folder / f"{FILENAME}.gz").answer
    lines = [line for line in readme.read_text().splitlines() if line.startswith("- ")]
    assert lines[0] == f"- {answer.sentence}"
    assert len(lines) == 1 + len(answer.recommendations) > 1
    for line, each in zip(lines[1:], answer.recommendations, strict=True):
        assert line.startswith(f"- {each.purpose} ({each.comparison.numel:,} elements): `{each.use}`.")
    assert "](reports/glance.png)](reports/runs/" in readme.read_text()


def test_a_page_of_a_study_is_added_in_one_place_and_linked_from_all_once_it_has_data(run, monkeypatch):
    source, reports, readme = run
    folder = publish(source, reports, readme)
    assert "Regressions" not in (folder / "index.html").read_text()
    (reports / "regressions" / "data").mkdir(parents=True)
    made = rebuild(reports, readme)
    assert reports / "regressions" / "index.html" in made
    assert '<a href="../../regressions/index.html">Regressions</a>' in (folder / "index.html").read_text()
    index = (reports / "index.html").read_text()
    assert '<a href="regressions/index.html">Regressions' in index
    # Without data the study has no answer, and the index says what was done.
    assert site.PAGES[2].about in index
    shutil.copy(ROOT / "reports/regressions/data/versus.json", reports / "regressions" / "data")
    rebuild(reports, readme)
    assert "<p>Regressions found: gradbench versus" in (reports / "index.html").read_text()
    monkeypatch.setattr(site, "PAGES", ())
    rebuild(reports, readme)
    assert "Regressions" not in (reports / "index.html").read_text()


def test_no_published_page_takes_anything_from_elsewhere():
    for page in (ROOT / "reports").rglob("*.html"):
        # A link is followed by a reader; what is taken from an address is taken by the page.
        taken = re.findall(r"""<(?!a\b)[^>]*\b(?:src|href)=["']?(?!#|data:)[^"'>][^>]*>""", page.read_text())
        assert not taken, page


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def off(made, there):
    """Why two texts are not the same but for figures, and the last digits of numbers; None where they are.

    Figures are drawn in other ways by other releases of matplotlib, and processors differ in last digits.
    """
    made, there = (re.sub(r"<svg.*?</svg>", "", each, flags=re.DOTALL) for each in (made, there))
    for one, other in itertools.zip_longest(made.splitlines(), there.splitlines(), fillvalue="(no line)"):
        if NUMBER.sub("0", one) != NUMBER.sub("0", other):
            return f"made: {one}; published: {other}"
        for pair in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True):
            values = [float(each.replace(",", "")) for each in pair]
            # Of the number as it is written: one in its last place, but a millionth of a long one.
            unit = max(10.0 ** -len(each.partition(".")[2]) if "e" not in each else 0.0 for each in pair)
            if abs(values[0] - values[1]) > max(1.01 * unit, 1e-6 * abs(values[0])):
                return f"made: {pair[0]}; published: {pair[1]}; in: {other}"
    return None


def test_an_edited_page_is_not_the_one_that_is_made():
    page = "<p>1.234 of 1,204 in 36 passes</p>\n<svg>1</svg>\n"
    assert off(page, page) is None
    assert off(page, page.replace("1.234", "1.235").replace("<svg>1", "<svg>2 3")) is None
    for one, other in (("1.234", "1.236"), ("1,204", "1,214"), ("passes", "pass"), ("</p>\n", "</p>\n\n"),
                       ("36 ", ""), ("36", "360")):  # fmt: skip
        assert off(page, page.replace(one, other)), other
    assert off("", page)
    assert off(page, page + "more")


def generated(reports):
    """What one command makes in reports/: all but the data, which are records."""
    names = ("index.html", "figures.json", *(form.name for form in pictures.FORMS))
    return {each for each in reports.rglob("*") if each.name in names}


def words(path):
    """The text of a page, or the words in a picture that name all its marks."""
    if path.suffix != ".png":
        return path.read_text()
    with Image.open(path) as image:
        return f"{image.size}: {image.text['Title']}: {image.text['Description']}"


@pytest.mark.slow
def test_what_is_published_is_what_is_made_now(tmp_path):
    reports, readme = tmp_path / "reports", tmp_path / "README.md"
    shutil.copytree(ROOT / "reports", reports)
    shutil.copy(ROOT / "README.md", readme)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    published = generated(reports)
    for each in published:
        each.unlink()
    rebuild(reports, readme)
    assert generated(reports) == published
    for page in (*sorted(published), readme, *(tmp_path / "docs").glob("*.md")):
        there = ROOT / page.relative_to(tmp_path)
        why = off(words(page), words(there))
        assert why is None, f"{there}: run `make publish`: {why}"


def test_all_that_is_published_is_generated_or_data():
    reports = ROOT / "reports"
    for path in reports.rglob("*"):
        if path.is_file() and path not in generated(reports):
            assert re.fullmatch(r".*\.jsonl(\.gz)?|asv\.json|versus\.json", path.name), path


def test_a_readme_without_a_place_for_the_table_is_refused():
    for text in ("nothing", BEGIN, f"{END}\n"):
        with pytest.raises(RequestError, match="put them where the headline belongs"):
            documents.splice(text, "headline", "table", "README.md")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_parts_of_a_page_are_those_that_are_made_now(page):
    why = off(documents.fill(page, ROOT / "reports"), page.read_text())
    assert why is None, f"{page}: run `make publish`: {why}"


def test_every_part_is_in_a_page():
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert sorted(documents.BEGINS.findall(text)) == sorted(documents.PARTS)


def test_publishing_fills_the_pages_beside_the_readme_with_the_newest_run(run):
    source, reports, readme = run
    docs = readme.with_name("docs")
    docs.mkdir()
    page, other = docs / "tutorial.md", docs / "other.md"
    page.write_text(f"above\n\n{documents.begin('run_brief')}\nold\n{documents.end('run_brief')}\n\nbelow\n")
    other.write_text("no part\n")
    publish(source, reports, readme)
    text = page.read_text()
    first = read_analysis(max(reports.glob("runs/*/*.gz"))).answer.sentence
    assert " ".join(text.split()).startswith(f"above {documents.begin('run_brief')} ```text {first}")
    assert text.endswith(f"\n```\n{documents.end('run_brief')}\n\nbelow\n")
    assert "old" not in text.splitlines()
    assert other.read_text() == "no part\n"
    page.write_text(documents.begin("weather"))
    with pytest.raises(RequestError, match=r"tutorial\.md: expected one of run_brief, .*; got weather"):
        rebuild(reports, readme)


def price(mean, low, high):
    return {"mean": mean, "low": low, "high": high, "count": 12}


def test_the_price_of_a_block_is_shown_by_power_of_ten_of_the_work_and_after_other_work(tmp_path):
    request = Request(workloads=("control", "elementwise"), sizes=("small", "medium", "large"))
    times = {100: 2e-6, 10_000: 4e-6, 1_000_000: 2e-3}
    made = results(
        {"no_grad": 1.5},
        scatter=1e-5,
        seconds=lambda plan: times[plan.numel] if plan.workload == "elementwise" else 1e-6,
        request=request,
    )
    run = write(made, tmp_path / "run") / FILENAME
    numbers = {
        "evicted": [
            {"bytes": size, "seconds": size * 1e-9, "added": {"no_grad after reading": price(*ends)}}
            for size, ends in (
                (4_000, (9e-6, 8e-6, 10e-6)),
                *((size, (2e-6, 1e-6, 3e-6)) for size in (40_000, 400_000, 2_000_000)),
                (32_000_000, (4e-5, 3e-5, 5e-5)),
                (128_000_000, (4e-5, -3e-5, 11e-5)),
            )
        ],
        "computed": [
            {"bytes": size, "seconds": 3e-4, "added": {"no_grad after computing": price(3e-6, 2e-6, 4e-6)}}
            for size in (120, 200_000)
        ],
    }
    study = tmp_path / "figures.json"
    study.write_bytes(msgspec.json.encode(numbers))
    assert large_work(run, study).splitlines() == [
        "**An empty no_grad() block takes 1.50 µs. "
        "Around 2.00 ms of work, it adds 1.00 ms (1.00 ms to 1.00 ms).**",
        "",
        "| the work | its time | the block adds (95 % interval) |",
        "| --- | ---: | ---: |",
        "| none: an empty block in a loop |  | 1.50 µs |",
        # Of 2 and 4 µs the longer one. Of what was read, the four largest that show a price.
        "| `elementwise`, 10,000 elements, inside the block | 4.00 µs | 2.00 µs (2.00 µs to 2.00 µs) |",
        "| `elementwise`, 1,000,000 elements, inside the block | 2.00 ms | 1.00 ms (1.00 ms to 1.00 ms) |",
        "| reading 40.0 kB, before the block | 40.0 µs | 2.00 µs (1.00 µs to 3.00 µs) |",
        "| reading 400 kB, before the block | 400 µs | 2.00 µs (1.00 µs to 3.00 µs) |",
        "| reading 2.00 MB, before the block | 2.00 ms | 2.00 µs (1.00 µs to 3.00 µs) |",
        "| reading 32.0 MB, before the block | 32.0 ms | 40.0 µs (30.0 µs to 50.0 µs) |",
        "| computing on 200 kB, before the block | 300 µs | 3.00 µs (2.00 µs to 4.00 µs) |",
    ]
    cold = write(results({}, request=request), tmp_path / "none") / FILENAME
    with pytest.raises(RequestError, match="expected prices of no_grad"):
        large_work(cold, study)
