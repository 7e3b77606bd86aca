"""The text that the tokenization audit is timed on."""

from __future__ import annotations

import pytest

from benchmarks.tokenization import parallel_text

SHIPPED = {"eng": ["One.", "Two.", "Three."], "deu": ["Eins.", "Zwei.", "Drei."]}


def test_languages_come_again_and_texts_do_not() -> None:
    text, documents = parallel_text(SHIPPED, languages=3, size=150)
    assert list(text) == ["eng", "deu", "eng_again"]
    assert text["eng"][:4] == ["One. Two.", "Two. Three.", "Three. One.", "One. Three."]
    assert text["eng"] == text["eng_again"]
    assert len(set(text["deu"])) == len(text["deu"]) == len(documents)
    assert documents[:4] == ["0", "1", "2", "0"]
    sizes = [sum(len(texts[place]) for texts in text.values()) for place in range(len(documents))]
    assert sum(sizes[:-1]) < 150 <= sum(sizes)


def test_too_few_sentences_are_told() -> None:
    with pytest.raises(ValueError, match=r"3 sentences make .* and not 1000"):
        parallel_text(SHIPPED, languages=2, size=1000)
