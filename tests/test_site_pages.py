"""The pages of the site in a real browser: the way through it, and that no page is broken."""

import shutil
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
from browsing import CONTRAST, stands_out, whole_run

from gradbench.record.lines import Writer
from gradbench.record.plan import Request
from studies.publish import documents
from studies.publish.__main__ import publish
from studies.publish.site import navigation

# Ours are errors; those of the browser's library are its own affair.
pytestmark = pytest.mark.filterwarnings("default")

REPORTS = Path(__file__).parents[1] / "reports"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder of reports with two small runs, and one of the published studies."""
    root = tmp_path_factory.mktemp("site")
    for day in ("01", "02"):
        made = whole_run(Request(workloads=("control", "elementwise"), sizes=("small",)))
        folder = root / "runs" / day
        folder.mkdir(parents=True)
        writer = Writer(folder / "results.jsonl")
        writer.write(msgspec.structs.replace(made.header, created=f"2026-01-{day}T00:00:00+00:00"))
        for record in (*made.passes, *made.visits, *made.memory, *made.ends):
            writer.write(record)
        writer.close()
    (root / "README.md").write_text(f"{documents.begin('headline')}\n{documents.end('headline')}\n")
    shutil.copytree(REPORTS / "regressions", root / "reports" / "regressions")
    for day in ("01", "02"):
        publish(root / "runs" / day, root / "reports", root / "README.md")
    return root / "reports"


def test_a_reader_finds_the_way_through_the_site(open_page, site):
    page = open_page(path=site / "index.html")
    assert page.locator('.site [aria-current="page"]').text_content() == "All reports"
    page.locator(".site").get_by_text("Newest run").click()
    assert "2026-01-02" in page.url
    assert page.locator('.site [aria-current="page"]').text_content() == "This run"
    page.locator(".site").get_by_text("Regressions").click()
    assert "regressions" in page.url
    page.locator(".site").get_by_text("All reports").click()
    page.locator("main").get_by_text("A processor").last.click()
    assert "2026-01-01" in page.url
    assert page.locator('.site [aria-current="page"]').text_content() == "This run"


@pytest.mark.parametrize("published", [False, True])
def test_every_page_of_the_site_looks_alike_and_has_no_dead_link(open_page, site, published):
    """Published pages are opened as they are; test_publish.py shows that they are the ones made now."""
    root = REPORTS if published else site
    pages = sorted(root.rglob("index.html"))
    assert len(pages) >= 4
    styles = set()
    for path in pages:
        page = open_page(360, path=path)
        assert page.complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        ids = page.locator("[id]").evaluate_all("all => all.map(each => each.id)")
        for href in page.locator("a").evaluate_all("all => all.map(each => each.getAttribute('href'))"):
            if href.startswith("#for="):
                assert path.parent.parent.name == "runs"
            elif href.startswith("#"):
                assert ids.count(href[1:]) == 1, href
            elif not href.startswith("https://"):
                assert (path.parent / unquote(href)).is_file(), href
        styles.add(page.locator("head style").text_content())
        assert page.locator(".site a").count() == len(navigation(root, path))
    assert len(styles) == 1


def test_a_report_by_itself_has_no_navigation_of_a_site(look_at):
    assert look_at().locator(".site").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_navigation_of_the_site_stands_out(look_at, site, scheme):
    page = look_at(path=site / "index.html", color_scheme=scheme)
    found = page.evaluate(CONTRAST, [".site a", ".site [aria-current]", ".brand"])
    assert [place for place, *both in found if not stands_out(*both)] == []
