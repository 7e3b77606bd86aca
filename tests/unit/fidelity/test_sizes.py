"""What variants take, by hand."""

from __future__ import annotations

import math

import pytest

from llmaudit.engines.comparing import Footprint
from llmaudit.fidelity.sizes import Size, bits_per_weight, size_estimates, size_metrics
from llmaudit.stats import Limit, judge
from llmaudit.types import Verdict

FULL = Footprint(5000, 5100, 1250, 2.0, {"a": 4000, "b": 400}, {"a": 1000, "b": 100})
SMALL = Footprint(1600, 5100, 1250, 3.0, {"a": 562, "b": 400}, {"b": 100}, simulated=True)


def test_bits_are_counted_over_the_matrices_with_the_references_shapes() -> None:
    assert bits_per_weight(FULL, FULL) == 32
    assert bits_per_weight(SMALL, FULL) == 8 * 962 / 1100


def test_models_that_share_no_matrix_have_no_bits_per_weight() -> None:
    stranger = Footprint(10, 10, 10, 0.0, {"x": 4}, {})
    assert math.isnan(bits_per_weight(stranger, FULL))
    found = size_estimates(Size(FULL, 100.0), {"v": Size(stranger, 50.0)}, speed=False)
    assert found["bits_per_weight.v"].problem == "the matrices of its linear layers are not known"
    assert found["bits_per_weight.reference"].value == 32


def test_sizes_are_exact_and_times_are_not() -> None:
    sizes: dict[str, Size | str] = {"v": Size(SMALL, 50.0), "w": "needs a package"}
    found = size_estimates(Size(FULL, 100.0), sizes, speed=True)
    assert list(found) == list(size_metrics(["v", "w"], speed=True))
    assert (found["stored_bytes.v"].value, found["allocated_bytes.v"].value) == (1600, 5100)
    assert found["stored_bytes.v"].details == {"simulated": 1.0}
    assert found["stored_bytes.reference"].details == {"simulated": 0.0}
    assert judge(found["stored_bytes.v"], Limit(max=1600)).verdict is Verdict.PASS
    assert found["load_seconds.v"].value == 3
    assert found["speed_ratio.v"].value == pytest.approx(0.5)
    assert "no benchmark" in judge(found["speed_ratio.v"], Limit(min=0.1)).reason
    assert found["stored_bytes.w"].problem == found["speed_ratio.w"].problem == "needs a package"
