"""Names of quantizations."""

from __future__ import annotations

import pytest

from llmaudit.engines.quantization import check_quantization


@pytest.mark.parametrize("name", ["int8", "nf4", "fp4", "nf4-double", "rtn1", "rtn8", "rtn3-g64", "rtn2-tensor-asym"])
def test_known_names(name: str) -> None:
    assert check_quantization(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nf5", "unknown quantization 'nf5'; did you mean 'nf4'?"),
        ("int4", "did you mean 'int8'?"),
        ("something", r"unknown quantization 'something' \(known: int8, nf4, fp4, nf4-double; simulated: rtn4"),
        ("rtn9", "'rtn9': round-to-nearest is written rtn4"),
        ("rtn4-g0", "'rtn4-g0': round-to-nearest is written rtn4"),
    ],
)
def test_others_are_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_quantization(name)
