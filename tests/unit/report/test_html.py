from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.records import Evidence, ScorerRecord
from llmaudit.report.format import NOTHING, printable
from llmaudit.report.html import render_html
from llmaudit.report.outline import sections
from llmaudit.run import Run

ATTACK = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What the tests ask of a page: its elements, its text, its <pre> texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def attributes(self, name: str) -> list[str]:
        return [value or "" for _, attributes in self.elements for key, value in attributes.items() if key == name]


def render(run: Run) -> str:
    parts = sections(run)
    return render_html(run, parts, {part.anchor: [] for part in parts})


def test_whatever_a_model_wrote_is_text(page: str) -> None:
    assert ATTACK not in page
    assert "&lt;/script&gt;&lt;/pre&gt;&lt;img src=x onerror=alert(1)&gt; {{7*7}}" in page
    parsed = Page(page)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in parsed.elements}
    assert not [key for _, attributes in parsed.elements for key in attributes if key.startswith("on")]
    assert any(ATTACK in text for text in parsed.texts["pre"])


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=[])))
def test_every_answer_is_shown_as_it_was(run: Run, text: str) -> None:
    records = (replace(run.records[0], evidence=(Evidence("p", text, {}, {}),)),)
    shown = Page(render(replace(run, records=records, audits=()))).texts["pre"][-1]
    # A parser of HTML drops the newline that follows <pre>.
    assert shown.removeprefix("\n") == printable(text)


def test_the_page_asks_no_other_machine(page: str) -> None:
    parsed = Page(page)
    assert (
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'" in page
    )
    assert all(target.startswith(("#", "data:")) for target in parsed.attributes("href"))
    assert not parsed.attributes("src")
    assert not re.search(r"https?://(?!evil\.example)", page)
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


def test_links_and_labels_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    targets = {href[1:] for href in parsed.attributes("href") if href.startswith("#")}
    labels = {name for value in parsed.attributes("aria-labelledby") for name in value.split()}
    assert targets | labels <= set(ids)


def test_headings_are_in_order(page: str) -> None:
    parsed = Page(page)
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert parsed.texts["h2"] == ["Overview", "Audits", "Methods and limitations", "Provenance"]


def test_tables_can_be_read_by_ear(page: str) -> None:
    parsed = Page(page)
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attributes for tag, attributes in parsed.elements if tag == "th")
    assert ("html", {"lang": "en"}) in parsed.elements


def test_the_overview_lists_failures_first(page: str) -> None:
    overview = page.partition('id="overview"')[2].partition('id="audits"')[0]
    words = re.findall(r'class="verdict (\w+)"', overview)
    assert words == ["fail", "error", *["inconclusive"] * 2, "waived", *["pass"] * 2, "measured", "skipped"]
    assert "1 failed, 1 error, 2 inconclusive" in overview
    assert "3 of these verdicts fail the run." in overview


def test_evidence_is_folded_behind_a_content_note(page: str) -> None:
    before, _, folded = page.partition('<details class="evidence">')
    assert "evil" not in before
    assert folded.lstrip().startswith("<summary><strong>Content note</strong> 2 answers of the model")


def test_what_must_be_read_first_comes_first(page: str) -> None:
    audit = page.partition('<article id="demographic-bias-occupations"')[2].partition("</article>")[0]
    order = ["Refusals and missing answers", ">Checks<", "<figure>", ">Estimates<", "Words by group", "Content note"]
    places = [audit.index(mark) for mark in [*order, "What this audit cannot tell"]]
    assert places == sorted(places)


def test_the_methods_cite_what_was_used(run: Run, page: str) -> None:
    for mark in ("Schuirmann, D. J. (1987)", "arXiv:2411.00640", "arXiv:2503.01747", "Hutto, C. J."):
        assert mark in page
    assert "Hutto" not in render(replace(run, audits=()))


@pytest.mark.parametrize(("change", "words"), [("smoke", "nothing is judged"), ("complete", "Incomplete run: 9 of 9")])
def test_banners(run: Run, page: str, change: str, words: str) -> None:
    changed = replace(run, smoke=True) if change == "smoke" else replace(run, complete=False)
    assert words in render(changed)
    assert 'class="banner"' not in page


def test_what_is_long_is_folded_or_cut(run: Run) -> None:
    first = run.audits[0]
    many = tuple(replace(first.estimates[1], metric=f"sentiment_gap.{i}") for i in range(100))
    audit = replace(first, estimates=(first.estimates[0], *many), prompts=tuple(f"prompt {i}" for i in range(1000)))
    text = render(replace(run, audits=(audit,)))
    assert "100 further estimates that no check judges" in text
    assert "The first 200; run.json holds all 1,000." in text
    assert "prompt 199" in text
    assert "prompt 200" not in text


def test_every_scorer_says_what_it_was_validated_on(run: Run) -> None:
    scorers = (
        ScorerRecord("sentiment", "1", "how good", "points", "AUC .695 on 10,662 sentences, computed by llmaudit"),
        ScorerRecord("length", "1", "how long", "words", "not validated"),
        ScorerRecord("old", "1", "from a run before it was recorded", "words"),
    )
    cells = Page(render(replace(run, audits=(replace(run.audits[0], scorers=scorers),)))).texts["td"]
    places = [cells.index(name) for name in ("how good", "how long", "from a run before it was recorded")]
    assert [cells[place + 2] for place in places] == [scorers[0].validation, "not validated", NOTHING]
