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
from llmaudit.stats.contingency import StratifiedOdds, cochran_mantel_haenszel
from llmaudit.stats.distributions import DistributionGap, wasserstein_excess
from llmaudit.stats.inequality import gini
from llmaudit.stats.intervals import (
    MIN_BOOTSTRAP_CLUSTERS,
    Worst,
    bca_cluster_bootstrap,
    clopper_pearson,
    ratio_interval,
    ratio_intervals,
    simultaneous_ratio_intervals,
    simultaneous_t_intervals,
    t_interval,
    wilson,
    worst_absolute,
    worst_of,
)
from llmaudit.stats.jackknife import jackknife_interval, simultaneous_jackknife_intervals
from llmaudit.stats.misclassification import Informedness, informedness, widened, widened_share
from llmaudit.stats.multiplicity import benjamini_hochberg, holm
from llmaudit.stats.nested import NestedComponents, nested_components
from llmaudit.stats.order_statistics import clustered_quantile_interval, independent_values
from llmaudit.stats.pareto import pareto_front
from llmaudit.stats.planned_power import PassRule, allowed_sd, clusters_to_pass, detectable, pass_power
from llmaudit.stats.power import (
    VarianceComponents,
    clusters_needed,
    mde,
    mde_floor,
    power_of_pass,
    variance_components,
)
from llmaudit.stats.quantiles import cluster_quantile_intervals, pooled_quantile, quantile_needs
from llmaudit.stats.renyi import RENYI_ORDER, renyi_efficiency, renyi_efficiency_without_each
from llmaudit.stats.sequential import Spending, look_levels
from llmaudit.stats.two_sample import welch_interval
from llmaudit.stats.verdicts import (
    MIN_CLUSTERS,
    Judgement,
    Limit,
    ShiftJudgement,
    design_problem,
    judge,
    judge_shift,
    level_text,
)

__all__ = [
    "MIN_BOOTSTRAP_CLUSTERS",
    "MIN_CLUSTERS",
    "RENYI_ORDER",
    "Comparison",
    "DistributionGap",
    "Informedness",
    "Judgement",
    "Limit",
    "NestedComponents",
    "PassRule",
    "ShiftJudgement",
    "Spending",
    "StratifiedOdds",
    "VarianceComponents",
    "Worst",
    "WorstGapNull",
    "allowed_sd",
    "bca_cluster_bootstrap",
    "benjamini_hochberg",
    "clopper_pearson",
    "cluster_quantile_intervals",
    "clustered_quantile_interval",
    "clusters_needed",
    "clusters_to_pass",
    "cochran_mantel_haenszel",
    "design_problem",
    "detectable",
    "friedman",
    "gini",
    "hedges_g_paired",
    "holm",
    "independent_values",
    "informedness",
    "jackknife_interval",
    "judge",
    "judge_shift",
    "level_text",
    "look_levels",
    "mde",
    "mde_floor",
    "min_attainable_p",
    "nested_components",
    "page",
    "pareto_front",
    "pass_power",
    "permutation_null_worst_gap",
    "pooled_quantile",
    "power_of_pass",
    "quantile_needs",
    "ratio_interval",
    "ratio_intervals",
    "renyi_efficiency",
    "renyi_efficiency_without_each",
    "sign_flip",
    "simultaneous_jackknife_intervals",
    "simultaneous_ratio_intervals",
    "simultaneous_t_intervals",
    "t_interval",
    "variance_components",
    "wasserstein_excess",
    "welch_interval",
    "widened",
    "widened_share",
    "wilson",
    "worst_absolute",
    "worst_of",
]
