"""The word embedding association test: do two sets of vectors lie closer to one of two others?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["Association", "associations", "cosine_similarities", "weat"]

#: Up to so many splits of the targets (8 words in each set have 12,870) are enumerated, which makes the test exact.
_MAX_ENUMERATED = 20_000
_SAMPLED = 9_999
#: Spread of associations, which are differences of cosines, that is rounding and not variation of the data.
_ROUNDING = 1e-12


class Association(NamedTuple):
    """What a WEAT found."""

    effect_size: float
    """d, in standard deviations of a word's association, within [-2, 2]; above 0 the first targets lie closer to the
    first attributes. NaN where no association varies: it is then 0/0."""
    statistic: float
    """Sum of the associations of the first targets minus that of the second, in units of cosine."""
    p_value: float
    """One-sided: share of the equal splits of all targets whose statistic is at least as large, in (0, 1]."""
    splits: int
    """How many splits the p rests on."""
    exact: bool
    """Whether these are all there are."""


def cosine_similarities(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of every pair of words, averaged over the sentences that they stand in.

    `vectors` has shape (words, sentences, dimensions), one sentence where words stand alone; the result has shape
    (words, words). A pair is averaged over every sentence of the one with every sentence of the other, as SEAT does
    (May et al. 2019, NAACL, section 2). NaN for a word with a vector that has no length or is not finite. Raises
    ValueError for another number of axes.
    """
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 3:
        raise ValueError(f"words by sentences by dimensions are needed, not an array of shape {array.shape}")
    largest = np.abs(array).max(axis=-1, keepdims=True)  # so that no square overflows
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = array / largest
        units = scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
    means = units.mean(axis=1)
    return np.asarray(means @ means.T)


def associations(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return s(w, A, B) = mean_a cos(w, a) - mean_b cos(w, b) of every word w (Caliskan et al. 2017, Science 356).

    first, second: cosines with each attribute of A and of B, shapes (words, attributes).
    """
    of_a, of_b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return np.asarray(of_a.mean(axis=1) - of_b.mean(axis=1))


def weat(first: ArrayLike, second: ArrayLike, seed: int) -> Association:
    """Compare the associations of two sets of targets X and Y (Caliskan et al. 2017, supplement).

    first, second: s(w, A, B) of each word of X and of Y, equally many, 2 at least. d = (mean_X s - mean_Y s) / sd(s)
    with the sample standard deviation over X and Y together. p counts all splits of X and Y into equal sets, the one
    that was made among them, up to 20,000 splits; beyond, 9,999 are drawn with the +1 correction. Values that are not
    finite give NaN. Raises ValueError for sets of unequal or too small size.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise ValueError(f"two sets of equally many words are needed, 2 at least, not {x.shape} and {y.shape}")
    both = np.concatenate([x, y])
    if not np.isfinite(both).all():
        return Association(math.nan, math.nan, math.nan, 0, exact=False)
    statistic, splits = float(x.sum() - y.sum()), math.comb(both.size, x.size)
    exact = splits <= _MAX_ENUMERATED
    spread = float(both.std(ddof=1))
    if spread <= _ROUNDING:
        # Every split is as good as every other.
        return Association(math.nan, statistic, 1.0, splits if exact else _SAMPLED, exact=exact)
    found = stats.permutation_test(
        (x, y),
        lambda one, other, axis: one.sum(axis=axis) - other.sum(axis=axis),
        permutation_type="independent",
        vectorized=True,
        n_resamples=splits if exact else _SAMPLED,
        alternative="greater",
        rng=np.random.default_rng(seed),
    )
    effect_size = float(x.mean() - y.mean()) / spread
    return Association(effect_size, statistic, float(found.pvalue), splits if exact else _SAMPLED, exact=exact)
