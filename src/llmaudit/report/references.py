"""The literature that a report cites."""

from __future__ import annotations

from llmaudit.run import Run

__all__ = ["references"]

_ALWAYS = (
    "Benjamini, Y., & Hochberg, Y. (1995). Controlling the false discovery rate: a practical and powerful approach to "
    "multiple testing. Journal of the Royal Statistical Society, Series B, 57(1), 289–300.",
    "Bowyer, S., Aitchison, L., & Ivanova, D. R. (2025). Position: Don’t use the CLT in LLM evals with fewer than a "
    "few hundred datapoints. arXiv:2503.01747.",
    "Clark, H. H. (1973). The language-as-fixed-effect fallacy: A critique of language statistics in psychological "
    "research. Journal of Verbal Learning and Verbal Behavior, 12(4), 335–359.",
    "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics, "
    "6(2), 65–70.",
    "Miller, E. (2024). Adding error bars to evals: A statistical approach to language model evaluations. "
    "arXiv:2411.00640.",
    "Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power approach for assessing "
    "the equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics, 15(6), 657–680.",
)

_VADER = (
    "Hutto, C. J., & Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment analysis of social media "
    "text. Proceedings of the International AAAI Conference on Web and Social Media, 8(1), 216–225."
)


def references(run: Run) -> list[str]:
    """Return what the methods of this run rest on, in alphabetical order."""
    instruments = " ".join(f"{s.name} {s.version} {s.description}" for audit in run.audits for s in audit.scorers)
    used = [_VADER] if "vader" in instruments.lower() else []
    return sorted([*_ALWAYS, *used])
