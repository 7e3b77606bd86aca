"""Word lists that travel with the package: read, named by their content, looked up in a text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

__all__ = ["Lexicon", "read_lexicon", "words_of"]

# A word, with its inner apostrophes and hyphens; or a mark that ends a clause.
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|[.!?;:,]")


@dataclass(frozen=True)
class Lexicon:
    """Words and phrases in sections."""

    sections: Mapping[str, frozenset[str]]
    sha256: str
    """Of the file."""

    @property
    def entries(self) -> frozenset[str]:
        """The words and phrases of all sections, in lower case."""
        return frozenset().union(*self.sections.values())

    def found(self, words: list[str]) -> Iterator[tuple[int, str]]:
        """Yield (index of its first word, section) of every entry in a text, the longest where several start.

        words: as `words_of` gives them.
        """
        for index, word in enumerate(words):
            for phrase, section in self._by_first_word.get(word, ()):
                if words[index : index + len(phrase)] == phrase:
                    yield index, section
                    break

    @cached_property
    def _by_first_word(self) -> Mapping[str, list[tuple[list[str], str]]]:
        starts: dict[str, list[tuple[list[str], str]]] = {}
        for section, entries in self.sections.items():
            for entry in entries:
                phrase = entry.split()
                starts.setdefault(phrase[0], []).append((phrase, section))
        for phrases in starts.values():
            phrases.sort(key=lambda item: (-len(item[0]), item))
        return starts


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, and the marks between its clauses."""
    return _WORD.findall(text.lower().replace("’", "'"))


def read_lexicon(name: str) -> Lexicon:
    """Read a list of the package by the name of its file: `[section]` lines, one entry a line, # for remarks."""
    content = (files("llmaudit.scorers") / "data" / name).read_bytes()
    sections: dict[str, set[str]] = {}
    for line in content.decode("utf-8").splitlines():
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), set())
        elif line and not line.startswith("#"):
            current.add(line)
    frozen = {section: frozenset(entries) for section, entries in sections.items()}
    return Lexicon(frozen, hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest())
