"""The coder that asks a language model: yes or no, whichever answer the model finds likelier."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmaudit.coding.codebook import Category, Codebook
from llmaudit.types import Likelihood, Sample, Score

__all__ = ["CONTENT_FREE", "ModelCoder", "coder_prompt"]

#: A text that says nothing: what the model answers of it is its bias towards yes or no (Zhao et al. 2021, section 5).
CONTENT_FREE = "N/A"
#: The key of that text among the texts that are coded.
_REFERENCE = "content-free"
_ANSWERS = ("yes", "no")


def coder_prompt(category: Category, text: str) -> str:
    """Return the question that is put to a model about a text, which ends where its answer begins.

    What is the same for all texts comes first, so that an engine can share it. White space is made plain, for a text
    of several paragraphs must not look like the next example.
    """
    examples = ((category.examples.yes[0], "yes"), (category.examples.no[0], "no"))
    shown = [f"Text: {' '.join(example.split())}\nAnswer: {answer}" for example, answer in examples]
    return "\n\n".join(
        [
            f"{category.definition}\nThis counts: {'; '.join(category.include)}."
            f"\nThis does not count: {'; '.join(category.exclude)}.\n{category.question} Answer yes or no.",
            *shown,
            f"Text: {' '.join(text.split())}\nAnswer:",
        ]
    )


@dataclass(frozen=True, slots=True)
class ModelCoder:
    """Codes texts by constrained choice: the log-likelihood of "yes" against that of "no" after the codebook's words.

    Calibrated, the difference that the model gives for a content-free text is subtracted, so that a model which
    prefers one of the words whatever the text is not taken for one that finds (or misses) the category everywhere
    (Zhao et al. 2021, "Calibrate before use", ICML; their diagonal rescaling, as a difference of log odds). A text has
    the category where the difference is above zero.
    """

    codebook: Codebook
    chat: bool = False
    """Whether the question goes through the model's chat template as one user turn."""
    calibrate: bool = True

    def requests(self, category: str, texts: Mapping[str, str]) -> Iterator[Score]:
        """Ask about every text, by its key, whether it has a category; the category is the requests' cluster."""
        asked = {_REFERENCE: CONTENT_FREE, **texts} if self.calibrate else texts
        for key, text in asked.items():
            context = coder_prompt(self.codebook.categories[category], text)
            for answer in _ANSWERS:
                yield Score(
                    context=context,
                    # A chat template ends with a line of its own; elsewhere the answer follows the colon.
                    continuation=answer if self.chat else f" {answer}",
                    cluster=category,
                    chat=self.chat,
                    factors={"category": category, "text": key, "answer": answer},
                )

    def margins(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        """Return category -> key of a text -> log odds of yes against no in nats, calibrated where that is asked for.

        NaN where a request failed, and for a whole category where that for the content-free text did.
        """
        return {
            name: {key: value - odds.get(_REFERENCE, 0.0) for key, value in odds.items() if key != _REFERENCE}
            for name, odds in self._odds(samples).items()
        }

    def leanings(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Return category -> log odds of yes for the content-free text in nats; empty where nothing is calibrated."""
        return {name: odds[_REFERENCE] for name, odds in self._odds(samples).items() if _REFERENCE in odds}

    def _odds(self, samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {name: {} for name in self.codebook.categories}
        for sample in samples:
            odds, key = found[sample.request.cluster], str(sample.request.factors["text"])
            logprob = sample.response.logprob if isinstance(sample.response, Likelihood) else math.nan
            sign = 1 if sample.request.factors["answer"] == "yes" else -1
            odds[key] = odds.get(key, 0.0) + sign * logprob
        return found
