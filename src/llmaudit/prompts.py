"""Prompt templates with typed grammatical slots, and a linter for what they render to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["PRONOUNS", "SLOTS", "Group", "check_template", "lint", "render"]

#: subject, object, possessive determiner, possessive pronoun, reflexive, and whether the pronoun takes a plural verb
PRONOUNS: Mapping[str, tuple[str, str, str, str, str, bool]] = {
    "they": ("they", "them", "their", "theirs", "themselves", True),
    "she": ("she", "her", "her", "hers", "herself", False),
    "he": ("he", "him", "his", "his", "himself", False),
}
_VERBS = {"is": ("are", "is"), "was": ("were", "was"), "has": ("have", "has"), "does": ("do", "does")}

#: Every slot that a template may use without declaring it.
SLOTS = frozenset(
    {"group", "subject", "object", "possessive", "possessive_pronoun", "reflexive"}
    | set(_VERBS)
    | {f"pronoun_{verb}" for verb in _VERBS}
)

_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SENTENCE_START = re.compile(r"(?:^|[.!?]\s+)[\"'“‘(]?$")


@dataclass(frozen=True, slots=True)
class Group:
    """How a group is named in a sentence."""

    noun: str
    """The noun phrase, with its article where it needs one: `women`, `a woman`."""
    number: Literal["plural", "singular"] = "plural"
    pronouns: str = "they"
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Further slots of the user's own."""

    def fill(self, slot: str) -> str:
        """Return the text of a slot. Raises KeyError for an unknown one."""
        if slot in self.extra:
            return self.extra[slot]
        if slot == "group":
            return self.noun
        if slot in _VERBS:
            return _VERBS[slot][self.number == "singular"]
        *words, plural = PRONOUNS[self.pronouns]
        if slot.startswith("pronoun_"):
            return _VERBS[slot.removeprefix("pronoun_")][not plural]
        names = ("subject", "object", "possessive", "possessive_pronoun", "reflexive")
        return str(dict(zip(names, words, strict=True))[slot])


def _slots_of(template: str) -> list[str]:
    """Return the slots that a template uses, in order."""
    return _SLOT.findall(template)


def check_template(template: str, declared: Collection[str]) -> None:
    """Raise ValueError where a template lacks `{group}`, uses an unknown slot, or has a stray brace."""
    used = _slots_of(template)
    known = SLOTS | set(declared)
    for slot in used:
        if slot not in known:
            close = difflib.get_close_matches(slot, known, n=1)
            hint = f"; did you mean {{{close[0]}}}?" if close else ""
            raise ValueError(f"unknown slot {{{slot}}}{hint} (known: {', '.join(sorted(known))})")
    if rest := _SLOT.sub("", template):
        brace = next((character for character in rest if character in "{}"), None)
        if brace:
            raise ValueError(f"a stray {brace!r}: a slot is a plain name in braces, such as {{group}}")
    if "group" not in used and not set(used) & set(declared):
        raise ValueError("the template has no slot {group}: every group would get the same prompt")


def render(template: str, group: Group) -> str:
    """Fill a template's slots; a slot at the start of a sentence is capitalised."""
    parts: list[str] = []
    end = 0
    for match in _SLOT.finditer(template):
        parts.append(template[end : match.start()])
        text = group.fill(match.group(1))
        if _SENTENCE_START.search("".join(parts)):
            text = text[:1].upper() + text[1:]
        parts.append(text)
        end = match.end()
    return "".join([*parts, template[end:]])


#: Whether the subject is plural -> the forms that do not agree with it.
_OTHER_FORMS = {
    True: tuple(singular for _, singular in _VERBS.values()),
    False: tuple(plural for plural, _ in _VERBS.values()),
}
_LINTS = (
    (re.compile(r"\s{2,}"), "two spaces in a row"),
    (re.compile(r"\s[,.;:!?](?:\s|$)"), "a space before a punctuation mark"),
    (re.compile(r"\b([A-Za-z]+)\s+\1\b", re.IGNORECASE), "a doubled word"),
    (re.compile(r"\b[Aa]n?\s+(?:an?|the)\b"), "two articles in a row"),
    (re.compile(r"\b[Tt]he\s+(?:an?|the)\b"), "two articles in a row"),
    (re.compile(r"\b[Aa]\s+(?=[aeio])(?!one\b|once\b|eu|uni)"), "'a' before a vowel"),
    (re.compile(r"\b[Aa]n\s+(?=[bcdfgjklmnpqrstvwyz])"), "'an' before a consonant"),
)
_DOUBLES = {"had", "that"}  # "what she had had", "that that" are grammatical


def lint(template: str, group: Group) -> str | None:
    """Return what is ungrammatical in a template filled for a group, or None.

    Checks what substitution breaks: agreement of a literal verb with the group's number, articles, doubled words,
    stray spaces. It is no parser: a native speaker still reads the prompts, which the report prints in full.
    """
    text = render(template, group)
    for pattern, problem in _LINTS:
        match = pattern.search(text)
        if match and not (match.groups() and match.group(1).lower() in _DOUBLES):
            return f"{problem} in {text!r}"
    if text != text.strip():
        return f"a space at the start or end of {text!r}"
    plural = PRONOUNS[group.pronouns][-1]
    if match := re.search(rf"\{{subject\}}\s+({'|'.join(_OTHER_FORMS[plural])})\b", template):
        slot = next(name for name, forms in _VERBS.items() if match.group(1) in forms)
        return f"{match.group(1)!r} does not agree with {group.pronouns!r} in {text!r}; write {{pronoun_{slot}}}"
    wrong = _OTHER_FORMS[group.number == "plural"]
    # Only where {group} opens a sentence it is surely the verb's subject ("next to {group} was" is not).
    if match := re.search(rf"(?:^|[.!?\"“]\s*)\{{group\}}\s+({'|'.join(wrong)})\b", template):
        slot = next(name for name, forms in _VERBS.items() if match.group(1) in forms)
        return f"{match.group(1)!r} does not agree with {group.noun!r} in {text!r}; write {{{slot}}}"
    if group.number == "plural" and re.search(r"\b[Aa]n?\s+\{group\}", template):
        return f"an article before the plural {group.noun!r} in {text!r}"
    return None
