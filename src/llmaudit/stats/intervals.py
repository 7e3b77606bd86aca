"""Confidence intervals over clusters: t, ratio of sums, bootstrap, binomial, and the worst of several facets."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from llmaudit.types import Better, Interval

__all__ = [
    "MIN_BOOTSTRAP_CLUSTERS",
    "Worst",
    "bca_cluster_bootstrap",
    "clopper_pearson",
    "ratio_interval",
    "ratio_intervals",
    "simultaneous_ratio_intervals",
    "simultaneous_t_intervals",
    "t_interval",
    "wilson",
    "worst_absolute",
    "worst_of",
]

#: Below this many clusters a cluster bootstrap misses its level (docs/statistics.md, section 0.1).
MIN_BOOTSTRAP_CLUSTERS = 30

_MIN_CLUSTERS = 2
_RESAMPLES = 9999
#: Numbers drawn at a time: bounds the memory of a bootstrap over a thousand clusters to some 16 MB.
_BATCH_ELEMENTS = 2_000_000
#: Spread, relative to the largest value, that is rounding of the arithmetic and not variation of the data.
_ROUNDING = 1e-12

_Vector = NDArray[np.float64]
_Matrix = NDArray[np.float64]


class Worst(NamedTuple):
    """The facet of a metric that looks worst, and what is known of the worst one."""

    facet: int
    """Which facet has the worst estimate."""
    value: float
    """Its estimate, without its sign where the size is the harm; NaN where no facet was measured."""
    interval: Interval | None
    """Of the worst true value, whichever facet has it; None where any facet has none, as that one may be the worst."""


def t_interval(values: ArrayLike, level: float = 0.90) -> Interval | None:
    """Return the Student t interval of the mean of cluster means, or of paired cluster differences.

    `values` has shape (C,), any unit. At 90 % its bounds are the two one-sided 5 % tests of TOST (Schuirmann 1987).
    Constant values give the zero-width interval [v, v]: the data show no variation between clusters. Fewer than
    2 clusters or a non-finite value give None. Raises ValueError unless 0 < level < 1 and `values` is a vector.
    """
    bounds = _t_bounds(_vector(values), _coverage(level))
    return bounds and Interval(*bounds, level, "t on cluster means")


def simultaneous_t_intervals(columns: Sequence[ArrayLike], level: float = 0.90) -> list[Interval | None]:
    """Return one t interval per column, such that all K of them hold together with at least `level` (Bonferroni).

    Every column counts towards K, also one that gets None. Shapes, outcomes and errors are those of `t_interval`.
    """
    coverage, method = _coverage(level, len(columns)), f"simultaneous t (Bonferroni over {len(columns)})"
    found = [_t_bounds(_vector(column), coverage) for column in columns]
    return [bounds and Interval(*bounds, level, method) for bounds in found]


def wilson(successes: int, n: int, level: float = 0.90) -> Interval | None:
    """Return the score interval of a proportion (Wilson 1927), for INDEPENDENT items only.

    Samples of one cluster are not independent. None for n = 0. Raises ValueError unless 0 <= successes <= n and
    0 < level < 1.
    """
    return _binomial(successes, n, level, "wilson", "Wilson score")


def clopper_pearson(successes: int, n: int, level: float = 0.90) -> Interval | None:
    """Return the exact interval of a proportion (Clopper and Pearson 1934), for INDEPENDENT items only.

    Meant for counts of failures at or near 0; at 90 % its upper bound is the one-sided 95 % bound. Outcomes and errors
    are those of `wilson`.
    """
    return _binomial(successes, n, level, "exact", "exact binomial")


def bca_cluster_bootstrap(
    values: ArrayLike, denominator: ArrayLike | None = None, *, level: float = 0.90, seed: int = 0
) -> Interval | None:
    """Return the BCa bootstrap interval (Efron 1987) over clusters of mean(values), or of sum(values)/sum(denominator).

    Both have shape (C,) and are resampled together; denominators are counts or sizes >= 0. Constant data give a
    zero-width interval. None below MIN_BOOTSTRAP_CLUSTERS clusters, for non-finite values, and where the ratio is
    undefined in the data or in a resample. Raises ValueError for unequal lengths, a negative denominator or a bad
    level.
    """
    _coverage(level)
    numerator = _vector(values)
    size = np.ones_like(numerator) if denominator is None else _vector(denominator)
    if not _usable_ratio(numerator, size) or numerator.size < MIN_BOOTSTRAP_CLUSTERS:
        return None
    bounds = _bca_bounds(numerator[np.newaxis], size[np.newaxis], level, seed)[0]
    return bounds and Interval(*bounds, level, "BCa cluster bootstrap")


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, level: float = 0.90, *, seed: int = 0
) -> Interval | None:
    """Return an interval of sum(numerator)/sum(denominator) over clusters, such as tokens per word.

    Below MIN_BOOTSTRAP_CLUSTERS clusters it is Fieller's (1954, JRSS B 16: 175-185), the ratios r for which a t test
    on numerator - r * denominator does not reject: it misses its level by less than the delta method (documents of very
    unequal length, 10 clusters: an upper 5 % bound misses 7 % against 9.5 %, simulated). From there on it is
    `bca_cluster_bootstrap`, whose shapes, outcomes and errors it shares. None for fewer than 2 clusters too, and where
    the denominators vary so much that Fieller's set has no bounds.
    """
    over, under, coverage = _vector(numerator), _vector(denominator), _coverage(level)
    if over.size >= MIN_BOOTSTRAP_CLUSTERS:
        return bca_cluster_bootstrap(over, under, level=level, seed=seed)
    bounds = _fieller_bounds(over, under, coverage)
    return bounds and Interval(*bounds, level, "Fieller on cluster sums")


def ratio_intervals(
    numerators: Sequence[ArrayLike], denominators: Sequence[ArrayLike], level: float = 0.90, *, seed: int = 0
) -> list[Interval | None]:
    """Return the `ratio_interval` of every pair, each at `level` on its own, in the time of a few.

    Pairs of as many clusters share their resamples, as `ratio_interval` draws them anyway with one seed.
    """
    pairs = [(_vector(over), _vector(under)) for over, under in zip(numerators, denominators, strict=True)]
    found: list[Interval | None] = [None] * len(pairs)
    together: dict[int, list[int]] = {}
    for index, (over, under) in enumerate(pairs):
        if over.size < MIN_BOOTSTRAP_CLUSTERS:
            found[index] = ratio_interval(over, under, level)
        elif _usable_ratio(over, under):
            together.setdefault(over.size, []).append(index)
    for indices in together.values():
        overs, unders = (np.stack([pairs[index][side] for index in indices]) for side in (0, 1))
        for index, bounds in zip(indices, _bca_bounds(overs, unders, level, seed), strict=True):
            found[index] = bounds and Interval(*bounds, level, "BCa cluster bootstrap")
    return found


def simultaneous_ratio_intervals(
    numerators: Sequence[ArrayLike], denominators: Sequence[ArrayLike], level: float = 0.90
) -> list[Interval | None]:
    """Return one Fieller interval per pair, such that all K of them hold together with at least `level` (Bonferroni).

    Fieller at every number of clusters: the far tails that K facets need would rest on a handful of resamples. Shapes,
    outcomes and errors are those of `ratio_interval`.
    """
    coverage, method = _coverage(level, len(numerators)), f"simultaneous Fieller (Bonferroni over {len(numerators)})"
    pairs = zip(numerators, denominators, strict=True)
    found = [_fieller_bounds(_vector(over), _vector(under), coverage) for over, under in pairs]
    return [bounds and Interval(*bounds, level, method) for bounds in found]


def worst_absolute(intervals: Sequence[Interval | None], values: Sequence[float]) -> Worst:
    """Return the interval of max_i |theta_i| from K simultaneous intervals of signed differences theta_i.

    All K intervals hold together, hence so does [max_i max(0, l_i, -u_i), max_i max(|l_i|, |u_i|)]. Raises ValueError
    where there is no facet, the lengths differ, or the levels do.
    """
    sizes = [item and Interval(*_magnitude(item.low, item.high), item.level, item.method) for item in intervals]
    return worst_of(sizes, [abs(value) for value in values], "lower")


def worst_of(intervals: Sequence[Interval | None], values: Sequence[float], better: Better) -> Worst:
    """Return the worst facet: the largest where lower is better, the smallest for higher, the largest size for zero.

    `intervals` must be simultaneous. The result bounds the worst TRUE value, so that picking the facet after seeing the
    data costs nothing. Errors are those of `worst_absolute`.
    """
    if better == "zero":
        return worst_absolute(intervals, values)
    if not values or len(intervals) != len(values):
        raise ValueError(
            f"{len(intervals)} intervals for {len(values)} facets: one each is needed, and one facet at least"
        )
    known = [item for item in intervals if item is not None]
    if len({item.level for item in known}) > 1:
        raise ValueError("the intervals of one metric need one simultaneous level")
    pick = max if better == "lower" else min
    measured = [index for index, value in enumerate(values) if not math.isnan(value)]
    index = pick(measured, key=values.__getitem__, default=0)
    if len(known) < len(values):
        return Worst(index, float(values[index]), None)
    low, high = pick(item.low for item in known), pick(item.high for item in known)
    return Worst(
        index, float(values[index]), Interval(low, high, known[0].level, f"worst of facets, {known[0].method}")
    )


def _coverage(level: float, facets: int = 1) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    return 1 - (1 - level) / max(facets, 1)


def _vector(values: ArrayLike) -> _Vector:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"one value per cluster is needed, not an array of shape {vector.shape}")
    return vector


def _magnitude(low: float, high: float) -> tuple[float, float]:
    return max(0.0, low, -high), max(abs(low), abs(high))


@np.errstate(over="ignore", invalid="ignore")
def _t_bounds(values: _Vector, coverage: float) -> tuple[float, float] | None:
    if values.size < _MIN_CLUSTERS or not np.isfinite(values).all():
        return None
    constant = _constant_ratio(values, np.ones_like(values))
    if constant is not None:
        return constant, constant
    half = stats.t.ppf((1 + coverage) / 2, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size)
    return _finite(values.mean() - half, values.mean() + half)


def _binomial(successes: int, n: int, level: float, method: Literal["wilson", "exact"], name: str) -> Interval | None:
    _coverage(level)
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} items")
    if n == 0:
        return None
    found = stats.binomtest(successes, n).proportion_ci(level, method)
    return Interval(float(found.low), float(found.high), level, name)


def _usable_ratio(numerator: _Vector, denominator: _Vector) -> bool:
    if numerator.shape != denominator.shape:
        raise ValueError(f"{numerator.size} numerators for {denominator.size} denominators")
    if (denominator < 0).any():
        raise ValueError("denominators are counts or sizes: none is negative")
    finite = np.isfinite(numerator).all() and np.isfinite(denominator).all()
    return bool(finite and denominator.any())


def _constant_ratio(numerator: _Vector, denominator: _Vector) -> float | None:
    """Return the ratio that all clusters share, or None where they differ by more than rounding."""
    ratio = numerator.sum() / denominator.sum()
    if (np.abs(numerator - ratio * denominator) > _ROUNDING * np.abs(numerator).max()).any() or not np.isfinite(ratio):
        return None
    # The rounding of a sum must not push the ratio out of the data: three times 0.1 is 0.1 on average.
    each = numerator[denominator > 0] / denominator[denominator > 0]
    return float(np.clip(ratio, each.min(), each.max()))


@np.errstate(over="ignore", invalid="ignore")
def _fieller_bounds(numerator: _Vector, denominator: _Vector, coverage: float) -> tuple[float, float] | None:
    if not _usable_ratio(numerator, denominator) or numerator.size < _MIN_CLUSTERS:
        return None
    constant = _constant_ratio(numerator, denominator)
    if constant is not None:
        return constant, constant
    size = numerator.size
    ratio, mean = numerator.sum() / denominator.sum(), denominator.mean()
    # In s = r - ratio the set is s^2 (mean^2 - q v_xx) + 2 s q v_ex - q v_ee <= 0, e being residuals: no cancellation.
    covariance = np.cov(numerator - ratio * denominator, denominator) / size
    quantile = stats.t.ppf((1 + coverage) / 2, size - 1) ** 2
    square, linear = mean**2 - quantile * covariance[1, 1], quantile * covariance[0, 1]
    if not square > 0:
        return None
    root = np.sqrt(linear**2 + square * quantile * covariance[0, 0])
    return _finite(ratio - (linear + root) / square, ratio + (root - linear) / square)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def _bca_bounds(
    numerators: _Matrix, denominators: _Matrix, level: float, seed: int
) -> list[tuple[float, float] | None]:
    """Bounds for every row, all resampled alike; shape (ratios, C)."""
    clusters = numerators.shape[1]

    def ratios(drawn: NDArray[np.int64], axis: int) -> _Matrix:
        # How often each cluster was drawn, times its sums: a product of matrices for all resamples and ratios at once.
        rows = np.moveaxis(drawn, axis, -1).reshape(-1, drawn.shape[axis])
        cells = rows + clusters * np.arange(len(rows))[:, np.newaxis]
        times = np.bincount(cells.ravel(), minlength=clusters * len(rows)).reshape(-1, clusters).astype(np.float64)
        found: _Matrix = (numerators @ times.T) / (denominators @ times.T)
        return found if drawn.ndim > 1 else found[:, 0]

    with warnings.catch_warnings():
        # A resample with an undefined ratio gives NaN bounds, which become None below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.arange(clusters),),
            ratios,
            vectorized=True,
            method="BCa",
            confidence_level=level,
            n_resamples=_RESAMPLES,
            batch=max(1, _BATCH_ELEMENTS // clusters),
            rng=np.random.default_rng(seed),
        ).confidence_interval
    constant = [_constant_ratio(over, under) for over, under in zip(numerators, denominators, strict=True)]
    bounds = zip(constant, np.atleast_1d(found.low), np.atleast_1d(found.high), strict=True)
    return [_finite(low, high) if value is None else (value, value) for value, low, high in bounds]


def _finite(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None
