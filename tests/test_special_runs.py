"""The pages of runs that are not as most are: no broken sentence, no empty part, no link into nothing."""

import re
from functools import partial
from html.parser import HTMLParser

import msgspec
import pytest
import test_screen
import test_user_model
import test_versions
from synthetic import device_results, header, memory, rendered, results

from gradbench.define.workloads import WORKLOADS
from gradbench.record.observation import Observation
from gradbench.record.plan import Request
from gradbench.record.visits import Failure

FEW = Request(workloads=("control", "elementwise", "break_even", "inference", "freeze"))


def all_failed():
    made = results({}, passes=0, request=FEW)
    for comparison in made.header.plan.comparisons:
        made.add(Failure(1, comparison.id, None, "time", "died", "killed by SIGKILL"))
    return made


def one_failed():
    made = results({"no_grad": 1.4}, request=FEW)
    gone = made.header.plan.comparisons[0].id
    made.visits = [visit for visit in made.visits if visit.comparison != gone]
    made.add(Failure(1, gone, None, "time", "died", "killed by SIGKILL"))
    return made


def one_known():
    """Every comparison but the first was lost."""
    made = results({"no_grad": 1.4}, request=FEW)
    first, *others = (comparison.id for comparison in made.header.plan.comparisons)
    made.visits = [visit for visit in made.visits if visit.comparison == first]
    for each in others:
        made.add(Failure(1, each, None, "time", "died", "killed by SIGKILL"))
    return made


def observed_only():
    made = results({}, passes=0, request=FEW)
    made.add(Observation("persistence", "How long?", "code", "no_grad", {"x_inside": False, "x_after": True}))
    return made


def alone(workload):
    return results({"no_grad": 1.4, "tracked": 1.2}, passes=4, request=Request((workload,), (), ("small",)))


def with_memory(made):
    for name in {variant.name for each in made.header.plan.comparisons for variant in each.variants}:
        memory(made, name, peak=len(name), saved=400, graph=8)
    return made


def short_baseline():
    """The baseline takes three turns of the empty loop, so that no ratio is known."""
    return results({"no_grad": 100.0}, seconds=3e-8, empty=1e-8, request=FEW)


ONE = Request(("elementwise",), (), ("small",))
BOTH = Request(("control", "elementwise", "inference"), device="cpu,cuda:0")
APART = {"no_grad": 2.0, "inference_mode": 3.0, "detach": 0.5, "tracked": 4.0, "detach_after": 5.0}

RUNS = {
    "one pass": lambda: results({"no_grad": 1.4}, passes=1, request=FEW),
    "one pass, with memory": lambda: with_memory(results({}, passes=1, request=FEW)),
    "one comparison": lambda: results({"no_grad": 1.4}, request=ONE),
    "one comparison, one pass": lambda: results({"no_grad": 1.4}, passes=1, request=ONE),
    "one method": lambda: results({}, request=Request(("elementwise",), ("no_grad",), ("small",))),
    "the baseline alone": lambda: results({}, request=Request(("elementwise",), ("requires_grad_false",))),
    "nothing decided": lambda: results({"no_grad": 1.5}, passes=2, scatter=3.0, request=FEW),
    "everything decided": lambda: with_memory(results(APART, scatter=1e-5, request=FEW)),
    "everything the same": lambda: results({}, scatter=1e-6, request=FEW),
    "everything failed": all_failed,
    "one comparison failed": one_failed,
    "nothing timed": observed_only,
    "no pass": lambda: results({}, passes=0, request=FEW),
    "no ratio": short_baseline,
    "alternatives alone": lambda: results({}, request=Request(("custom", "update"), (), ("small",))),
    "a sweep": lambda: results({"no_grad": 1.2}, request=Request(("elementwise",), (), ("10:1e5",))),
    "two devices": lambda: device_results(BOTH, host={"no_grad": 1.5}),
    "two devices, one pass": lambda: device_results(BOTH, passes=1),
    "a device alone": lambda: device_results(
        msgspec.structs.replace(BOTH, device="cuda:0"), waits=("tracked",)
    ),
    "a model": lambda: test_user_model.made({"tracked": 1.25}),
    "a model, one pass": lambda: test_screen.made(passes=1),
    "a model, with memory": lambda: test_screen.made({"tracked": 1.25}),
    "a model, no pass": lambda: results({}, passes=0, plan=test_user_model.plan_of()),
    "versions": lambda: test_versions.made(1.2),
    "versions, one pass": lambda: test_versions.made(1.2, passes=1),
    "versions that tie": lambda: test_versions.made(),
    "two passes": lambda: results({"no_grad": 1.4}, passes=2, request=FEW),
    "two passes, with memory": lambda: with_memory(results(APART, passes=2, request=FEW)),
    "one comparison known": one_known,
    **{f"{each.name} alone": partial(alone, each.name) for each in WORKLOADS},
}  # fmt: skip

SEVERAL = (
    "passes|more passes|comparisons|claims|rounds|warnings|operations|elements|threads|variants|methods|calls"
    "|visits|pairs|files|processes|sizes"
)
# A figure that is not known, a share of nothing, a plural left open, a missing word before a stop, two stops.
BROKEN = re.compile(
    r"(?<!= )\bNone\b|(?<![\d.,])0 of 0\b|\bnan\b|\binf\b|\(s\)|\s[,;:.](\s|$)|[^.]\.\.(?!\.)|, ,"
)

TEXTS = ("p", "li", "dd", "dt", "h1", "h2", "h3", "h4", "summary", "figcaption", "caption", "pre")

VOID = {"meta", "br", "input"}


class _Element:
    def __init__(self, tag, attrs, around=None):
        self.tag, self.attrs, self.around, self.inside = tag, dict(attrs), around, []

    def all(self, *tags):
        for each in self.inside:
            if isinstance(each, _Element):
                if not tags or each.tag in tags:
                    yield each
                yield from each.all(*tags)

    @property
    def text(self):
        parts = [each if isinstance(each, str) else each.text for each in self.inside]
        return " ".join("".join(parts).split())

    @property
    def prose(self):
        """The text without what is code or a table."""
        left = [
            each if isinstance(each, str) else "CODE" if each.tag in ("code", "pre") else each.prose
            for each in self.inside
            if isinstance(each, str) or each.tag not in ("table", "svg", "style", "script")
        ]
        return " ".join("".join(left).split())


class _Tree(HTMLParser):
    """The elements of a page; raises where one is not closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.root = self.at = _Element("", ())
        self.feed(text)
        assert self.at is self.root, f"{self.at.tag} is not closed"

    def handle_starttag(self, tag, attrs):
        made = _Element(tag, attrs, self.at)
        self.at.inside.append(made)
        if tag not in VOID:
            self.at = made

    def handle_startendtag(self, tag, attrs):
        self.at.inside.append(_Element(tag, attrs, self.at))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
            self.at = self.at.around

    def handle_data(self, data):
        self.at.inside.append(data)


@pytest.fixture(scope="module", params=RUNS)
def page(request):
    return _Tree(rendered(RUNS[request.param]())).root


def test_every_link_within_the_page_leads_somewhere_and_no_name_is_there_twice(page):
    ids = [each.attrs["id"] for each in page.all() if "id" in each.attrs]
    assert len(ids) == len(set(ids))
    links = {each.attrs["href"] for each in page.all("a") if each.attrs["href"].startswith("#")}
    assert {link[1:] for link in links if not link.startswith("#for=")} <= set(ids)
    named = {each.attrs["aria-labelledby"] for each in page.all() if "aria-labelledby" in each.attrs}
    assert named <= set(ids)


def test_no_part_of_the_page_is_empty(page):
    (main,) = page.all("main")
    for each in main.all(
        "p", "li", "dd", "dt", "h1", "h2", "h3", "h4", "summary", "figcaption", "caption", "pre"
    ):
        assert each.text, (each.tag, each.attrs, each.around.attrs)
    for each in main.all("ul", "ol", "dl", "tbody", "thead", "nav", "form"):
        assert any(isinstance(inside, _Element) for inside in each.inside), (each.tag, each.attrs)
    for each in main.all("figure"):
        assert list(each.all("svg", "div")), each.attrs
    for each in main.all("section", "details"):
        head = next(inside for inside in each.inside if isinstance(inside, _Element))
        assert len(each.text) > len(head.text), (each.tag, each.attrs)
        # A heading of its own stands at the top.
        assert head.tag in ("h1", "h2", "summary") or each.attrs["id"] in ("answer", "found"), each.attrs


def test_the_first_heading_comes_first_and_once(page):
    levels = [each.tag for each in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == "h1"
    assert levels.count("h1") == 1


def test_sentences_count_in_words_that_agree_and_hold_no_dash_for_a_figure(page):
    (main,) = page.all("main")
    for each in main.all("p", "li", "dd", "summary", "h1", "h2", "h3", "figcaption"):
        said = each.prose
        assert not re.search(rf"(?<![\d.,×-])\b1 (?:{SEVERAL})\b", said), said
        assert "–" not in said, said
        assert not BROKEN.search(said), said


def test_what_failed_is_on_the_page_and_no_answer_is_made_up():
    root = _Tree(rendered(all_failed())).root
    assert "Nothing could be measured" in root.text
    assert root.text.count("killed by SIGKILL") >= len(header(FEW).plan.comparisons)
    assert [each.attrs["id"] for each in root.all("section") if each.attrs["id"] == "answer"] == []
    assert not list(root.all("svg"))


def test_a_page_of_one_pass_says_that_there_is_no_interval():
    root = _Tree(rendered(RUNS["one pass"]())).root
    (trust,) = (each for each in root.all("details") if each.attrs.get("class") == "trust poor")
    assert "1 pass, so no interval is known." in trust.text
    assert "--passes 20" in trust.text
    notes = [each.text for each in root.all("p") if each.text.startswith("1 pass")]
    assert len(notes) == len(header(FEW).plan.comparisons)
