"""Research designs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from llmaudit.errors import SuiteError
from llmaudit.planning.designs import Design, plan_design, read_design
from llmaudit.planning.plan import Price
from llmaudit.planning.rates import Rates

TEXT = """\
design: wording
conditions: [plain, polite, rude]
clusters: 48
samples: 25
sd: {between: 0.2, within: 0.9}
effect: 0.15
new_tokens: 40
"""


def read(folder: Path, text: str = TEXT) -> Design:
    path = folder / "d.design.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return read_design(path)


def test_a_design_has_costs_and_a_power(tmp_path: Path) -> None:
    plan = plan_design(read(tmp_path), Rates(generated=1000.0), Price(0.0, 1.0))
    assert plan.work.requests == 3 * 48 * 25
    assert plan.seconds == pytest.approx(3 * 48 * 25 * 40 / 1000)
    assert plan.money == pytest.approx(3 * 48 * 25 * 40 / 1e6)
    (check,) = plan.checks
    assert check.sd == pytest.approx((0.2**2 + 2 * 0.9**2 / 25) ** 0.5)
    assert check.decides == "no"
    assert check.clusters_needed is not None
    assert check.clusters_needed > 48
    assert check.floor is not None
    assert check.detectable is not None
    assert check.floor < check.detectable


def test_enough_clusters_decide_and_too_few_never(tmp_path: Path) -> None:
    (check,) = plan_design(read(tmp_path, TEXT.replace("48", "100")), Rates()).checks
    assert check.decides == "yes"
    (check,) = plan_design(read(tmp_path, TEXT.replace("48", "8")), Rates()).checks
    assert (check.decides, check.power, check.detectable) == ("no", 0.0, None)
    assert check.reason.startswith("design: 8 clusters")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("effect: 0.15", "effect: 0", ":6:9: effect: "),
        ("samples: 25", "sample: 25", ":4:1: unknown key 'sample'; did you mean 'samples'?"),
        ("[plain, polite, rude]", "[plain]", ":2:13: conditions: "),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(SuiteError) as caught:
        read(tmp_path, TEXT.replace(old, new))
    assert words in "\n".join(caught.value.problems)


def test_a_design_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="cannot be read"):
        read_design(tmp_path / "none.design.yaml")


def test_a_design_says_how_many_samples_would_do_or_that_nothing_does(tmp_path: Path) -> None:
    (check,) = plan_design(read(tmp_path, TEXT.replace("between: 0.2", "between: 0.4")), Rates()).checks
    assert check.samples_needed is None
    assert "more samples alone cannot go below" in check.reason
    wide = TEXT.replace("between: 0.2", "between: 0.05").replace("samples: 25", "samples: 5")
    (check,) = plan_design(read(tmp_path, wide), Rates()).checks
    assert check.samples_needed is not None
    assert f"or {check.samples_needed} samples per cell" in check.reason
    (check,) = plan_design(read(tmp_path, TEXT.replace("effect: 0.15", "effect: 0.0001")), Rates()).checks
    assert check.clusters_needed is None
    assert check.reason.startswith("no number of clusters")
