"""Folders with the Declaration of Human Rights, a file per language."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmaudit.parallel_text import udhr

HEADER = "The Declaration - English\nPrepared by a project\n\n---\n\n"


def declaration(word: str, articles: int = 30) -> str:
    """A file as the project had it: indented, headings and paragraphs, blank lines between the articles."""
    blocks = [f"   {word} {number}\n      Text {number}.\n      More." for number in range(1, articles + 1)]
    return "\n\n".join(blocks)


def test_articles_of_two_layouts(tmp_path: Path) -> None:
    (tmp_path / "udhr_eng.txt").write_text(HEADER + "   Preamble\n      Whereas\n\n" + declaration("Article"))
    (tmp_path / "deu_1996.txt").write_text("\n\n" + declaration("Artikel").replace("\n\n", "\n \n\n") + "\n\n")
    text = udhr.read(tmp_path, ["eng", "deu_1996"])
    assert [len(articles) for articles in text.passages.values()] == [30, 30]
    assert text.passages["eng"][0] == "Article 1\nText 1.\nMore."
    assert text.passages["deu_1996"][29] == "Artikel 30\nText 30.\nMore."
    assert text.documents == ()
    assert set(text.sha256) == {"udhr_eng.txt", "deu_1996.txt"}


def generated(title: str, word: str) -> str:
    """A file as the project generated it: with the white space of the XML behind it, and lists among the articles."""
    lists = {11: 2, 13: 2, 16: 3, 21: 3, 23: 4, 29: 3}
    text = f"{HEADER}{title}\n      Preamble\n      Whereas\n      Whereas\n   \n"
    for number in range(1, 31):
        text += f"      {word} {number}\n"
        if number in lists:
            items = [f"         \n            Item {item}.\n         \n" for item in range(1, lists[number] + 1)]
            text += f"      \n{''.join(items)}      \n   \n"
        else:
            text += f"      Text {number}.\n      More.\n   \n"
    return text.removesuffix("\n")


def test_articles_that_are_lists_stay_whole(tmp_path: Path) -> None:
    (tmp_path / "udhr_eng.txt").write_text(generated("Declaration", "Article"))
    # With a note behind the title, the preamble is a part of its own; an item may be indented by a tabulator.
    german = generated("Erklärung\n      Resolution 217\n   ", "Artikel").replace("            Item", "\t Item")
    (tmp_path / "udhr_deu.txt").write_text(german)
    passages = udhr.read(tmp_path, ["eng", "deu"]).passages
    for language, word in (("eng", "Article"), ("deu", "Artikel")):
        articles = passages[language]
        assert [article.split("\n")[0] for article in articles] == [f"{word} {number}" for number in range(1, 31)]
        assert articles[1] == f"{word} 2\nText 2.\nMore."
        assert articles[15] == f"{word} 16\nItem 1.\nItem 2.\nItem 3."
        assert articles[29] == f"{word} 30\nText 30.\nMore."


def test_a_blank_line_inside_an_article_is_told(tmp_path: Path) -> None:
    torn = generated("Declaration", "Article").replace("      More.", "\n      More.")
    (tmp_path / "udhr_eng.txt").write_text(torn)
    with pytest.raises(ValueError, match=r"udhr_eng\.txt has 55 parts .* 30 articles and at most 2 parts before them"):
        udhr.read(tmp_path, ["eng"])


def test_a_language_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "udhr_eng.txt").write_text(declaration("Article"))
    with pytest.raises(ValueError, match=r"no text in 'enk' under .*; did you mean 'eng'\?"):
        udhr.read(tmp_path, ["enk"])


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no text in 'eng' under .* \(there are none\)"):
        udhr.read(tmp_path, ["eng"])


def test_too_few_articles(tmp_path: Path) -> None:
    (tmp_path / "udhr_eng.txt").write_text(HEADER + declaration("Article", 29))
    with pytest.raises(ValueError, match=r"udhr_eng\.txt has 29 parts between blank lines, the Declaration has 30"):
        udhr.read(tmp_path, ["eng"])


def test_many_languages_are_not_all_listed(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"udhr_{number:02}.txt").write_text("x")
    with pytest.raises(ValueError, match=r"\(there are 00, 01, .*, 11 and 8 more\)"):
        udhr.read(tmp_path, ["zz"])
