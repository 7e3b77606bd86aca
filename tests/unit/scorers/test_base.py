"""How a validation is said."""

from __future__ import annotations

import pytest

from llmaudit.scorers.base import Validated, Validation


@pytest.mark.parametrize(
    ("validation", "sentence"),
    [
        (
            Validation("movie sentences (Pang and Lee 2005)", 10_662, auc=0.695, kappa=-0.28),
            "AUC .695, kappa -.280 on 10,662 movie sentences (Pang and Lee 2005), computed by llmaudit",
        ),
        (
            Validation("letters", 20, sensitivity=(9, 10), specificity=(10, 10), source="as the suite states"),
            "sensitivity 9/10, specificity 10/10 on 20 letters, as the suite states",
        ),
        (Validation("letters", 1, auc=1.0, kappa=0.0), "AUC 1.000, kappa .000 on 1 letters, computed by llmaudit"),
    ],
)
def test_a_validation_is_one_sentence(validation: Validation, sentence: str) -> None:
    assert str(validation) == sentence


def test_a_scorer_without_a_validation_is_not_validated() -> None:
    assert not isinstance(object(), Validated)
