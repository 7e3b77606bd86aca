"""How a suite writes its stimuli: groups, templates, sampling."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from llmaudit.audit import Name, Spec
from llmaudit.classifiers import ClassifierParams
from llmaudit.groups import GroupParams, Groups, crossed
from llmaudit.prompts import check_template, lint, render
from llmaudit.scorers.base import Scorer
from llmaudit.types import Sampling

__all__ = [
    "GroupParams",
    "Groups",
    "ParaphrasedTemplates",
    "SamplingParams",
    "ScorerChoice",
    "ScorerChoices",
    "ScorerName",
    "Templates",
    "chosen_scorers",
    "wordings",
]


class SamplingParams(Spec):
    """How completions are drawn."""

    temperature: float = Field(default=0.8, ge=0, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_new_tokens: int = Field(default=40, ge=1)
    stop: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default=[])

    def sampling(self) -> Sampling:
        """The settings as a request carries them."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_new_tokens, tuple(self.stop))


def _by_domain(value: Any) -> Any:
    return {"all": value} if isinstance(value, list) else value


def _grammatical(template: str, info: ValidationInfo) -> str:
    """Check a template against the groups, or the axes and their noun, which are validated before it."""
    groups: dict[str, GroupParams] = info.data.get("groups") or {}
    if info.data.get("axes") and info.data.get("noun"):
        groups = crossed(info.data["axes"], info.data["noun"])
    check_template(template, {slot for group in groups.values() for slot in group.slots})
    heard: dict[tuple[str, ...], str] = {}
    for name, group in groups.items():
        for variant in group.variants():
            if problem := lint(template, variant):
                raise ValueError(problem)
        prompts = tuple(render(template, variant) for variant in group.variants())
        # No gap between them could ever be seen, and none would pass for a finding.
        if (twin := heard.setdefault(prompts, name)) != name:
            raise ValueError(f"{twin} and {name} get the same prompt, {prompts[0]!r}: nothing could differ")
    return template


def _known_scorer(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("scorers", {name})
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown scorer {name!r}{hint} (known: {', '.join(sorted(known))})")
    return name


def _name_of(choice: str | ClassifierParams) -> str:
    return choice if isinstance(choice, str) else choice.name


def _each_once(choices: list[str | ClassifierParams]) -> list[str | ClassifierParams]:
    names = [_name_of(choice) for choice in choices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the scorer {twice!r} stands here twice")
    return choices


def chosen_scorers(choices: Sequence[str | ClassifierParams], known: Mapping[str, Scorer]) -> dict[str, Scorer]:
    """Return the scorers that a suite chose, by name and in its order; classifiers load when they first score."""
    return {_name_of(choice): known[choice] if isinstance(choice, str) else choice.scorer() for choice in choices}


_Template = Annotated[str, AfterValidator(_grammatical)]

#: Domain -> templates; a bare list is one domain. Where a model has groups, they must be declared before its templates.
Templates = Annotated[
    dict[Name, list[_Template]],
    BeforeValidator(_by_domain, json_schema_input_type=list[str] | dict[Name, list[str]]),
    Field(min_length=1),
]

_Paraphrases = Annotated[list[_Template], Field(min_length=2)]

#: The same, where a list of two texts or more may stand for a template: paraphrases, of which the first names it.
ParaphrasedTemplates = Annotated[
    dict[Name, list[_Template | _Paraphrases]],
    BeforeValidator(_by_domain, json_schema_input_type=list[str | _Paraphrases] | dict[Name, list[str | _Paraphrases]]),
    Field(min_length=1),
]

ScorerName = Annotated[str, AfterValidator(_known_scorer)]
#: A scorer: the name of one that is there, or a classifier that becomes one.
ScorerChoice = ScorerName | ClassifierParams
#: At least one scorer, and none twice.
ScorerChoices = Annotated[list[ScorerChoice], Field(min_length=1), AfterValidator(_each_once)]


def wordings(template: str | list[str]) -> tuple[str, ...]:
    """Return the texts of a template: one, or its paraphrases."""
    return (template,) if isinstance(template, str) else tuple(template)
