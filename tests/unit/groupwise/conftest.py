"""Answers whose place in a design is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmaudit.groupwise.answers import Answers
from llmaudit.types import Completion, Factor, Failure, Generate, Response, Sample

#: (cluster, group, position) -> a text, or None for an answer that is missing.
Told = Callable[[str, str, int], str | None]


@pytest.fixture
def answers() -> Callable[..., Answers]:
    """Ask every cluster, group and position, paraphrases and names in turn."""

    def ask(
        told: Told,
        *,
        clusters: int = 10,
        groups: tuple[str, ...] = ("a", "b"),
        samples: int = 4,
        paraphrases: int = 1,
        names: dict[str, list[str]] | None = None,
    ) -> Answers:
        found: list[Sample] = []
        for number in range(clusters):
            for group in groups:
                for position in range(samples):
                    text = told(f"t{number}", group, position)
                    factors: dict[str, Factor] = {"group": group, "paraphrase": position % paraphrases}
                    if names:
                        factors["name"] = names[group][(number + position) % len(names[group])]
                    request = Generate("prompt", f"t{number}", sample=position, factors=factors)
                    response: Response = Failure("lost") if text is None else Completion(text, 1, "stop", "prompt")
                    found.append(Sample(request, response))
        return Answers.of(found, groups)

    return ask
