"""Statistics of an audit: pure functions on arrays over clusters."""

from __future__ import annotations

from llmaudit.stats.comparisons import (
    Comparison,
    WorstGapNull,
    friedman,
    hedges_g_paired,
    min_attainable_p,
    page,
    permutation_null_worst_gap,
    sign_flip,
)
from llmaudit.stats.intervals import (
    MIN_BOOTSTRAP_CLUSTERS,
    Worst,
    bca_cluster_bootstrap,
    clopper_pearson,
    ratio_interval,
    simultaneous_ratio_intervals,
    simultaneous_t_intervals,
    t_interval,
    wilson,
    worst_absolute,
    worst_of,
)
from llmaudit.stats.multiplicity import benjamini_hochberg, holm
from llmaudit.stats.power import (
    VarianceComponents,
    clusters_needed,
    mde,
    mde_floor,
    power_of_pass,
    variance_components,
)
from llmaudit.stats.quantiles import cluster_quantile_intervals, pooled_quantile, quantile_needs
from llmaudit.stats.verdicts import MIN_CLUSTERS, Judgement, Limit, design_problem, judge

__all__ = [
    "MIN_BOOTSTRAP_CLUSTERS",
    "MIN_CLUSTERS",
    "Comparison",
    "Judgement",
    "Limit",
    "VarianceComponents",
    "Worst",
    "WorstGapNull",
    "bca_cluster_bootstrap",
    "benjamini_hochberg",
    "clopper_pearson",
    "cluster_quantile_intervals",
    "clusters_needed",
    "design_problem",
    "friedman",
    "hedges_g_paired",
    "holm",
    "judge",
    "mde",
    "mde_floor",
    "min_attainable_p",
    "page",
    "permutation_null_worst_gap",
    "pooled_quantile",
    "power_of_pass",
    "quantile_needs",
    "ratio_interval",
    "sign_flip",
    "simultaneous_ratio_intervals",
    "simultaneous_t_intervals",
    "t_interval",
    "variance_components",
    "wilson",
    "worst_absolute",
    "worst_of",
]
