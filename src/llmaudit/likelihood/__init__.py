"""Comparisons of log-likelihoods over the items of a data set: what kind pairs measures for each sort of item."""

from __future__ import annotations

from llmaudit.likelihood.answers import Controls
from llmaudit.likelihood.associations import Associations
from llmaudit.likelihood.experiment import Experiment
from llmaudit.likelihood.precision import precision_problem
from llmaudit.likelihood.questions import Questions
from llmaudit.likelihood.selection import chosen
from llmaudit.likelihood.sentence_pairs import PRO_ANTI, STEREOTYPE, SentencePairs

__all__ = [
    "PRO_ANTI",
    "STEREOTYPE",
    "Associations",
    "Controls",
    "Experiment",
    "Questions",
    "SentencePairs",
    "chosen",
    "precision_problem",
]
