"""The literature that a report cites."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmaudit.records import AuditRecord
from llmaudit.run import Run

__all__ = ["references"]

_Condition = Callable[[AuditRecord], bool]


class _Reference(NamedTuple):
    applies: _Condition
    """Whether an audit rests on it."""
    text: str


def references(run: Run) -> list[str]:
    """Return what the methods of this run rest on, in alphabetical order."""
    used = [reference.text for reference in _WHERE_USED if any(map(reference.applies, run.audits))]
    return sorted([*_ALWAYS, *used])


def _of_kind(*kinds: str) -> _Condition:
    return lambda audit: audit.kind in kinds


def _scored_by(word: str) -> _Condition:
    """By a scorer whose name, version or description holds a word in lower case."""
    return lambda audit: any(
        word in f"{scorer.name} {scorer.version} {scorer.description}".lower() for scorer in audit.scorers
    )


def _measures(part: str) -> _Condition:
    return lambda audit: any(part in estimate.metric for estimate in audit.estimates)


def _with_intervals(words: str) -> _Condition:
    return lambda audit: any(words in estimate.method for estimate in audit.estimates)


def _set_to(name: str, value: str) -> _Condition:
    return lambda audit: any((setting.name, setting.value) == (name, value) for setting in audit.settings)


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

_WHERE_USED = (
    _Reference(
        _scored_by("vader"),
        "Hutto, C. J., & Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment analysis of social "
        "media text. Proceedings of the International AAAI Conference on Web and Social Media, 8(1), 216–225.",
    ),
    _Reference(
        _scored_by("regard"),
        "Sheng, E., Chang, K.-W., Natarajan, P., & Peng, N. (2019). The woman worked as a babysitter: On biases in "
        "language generation. Proceedings of EMNLP-IJCNLP 2019, 3407–3412.",
    ),
    _Reference(
        _measures("_distribution_gap"),
        "Huang, P.-S., Zhang, H., Jiang, R., Stanforth, R., Welbl, J., Rae, J., Maini, V., Yogatama, D., & Kohli, P. "
        "(2020). Reducing sentiment bias in language models via counterfactual evaluation. Findings of EMNLP 2020, "
        "65–83.",
    ),
    _Reference(
        _measures("expected_maximum_"),
        "Gehman, S., Gururangan, S., Sap, M., Choi, Y., & Smith, N. A. (2020). RealToxicityPrompts: Evaluating neural "
        "toxic degeneration in language models. Findings of EMNLP 2020, 3356–3369.",
    ),
    _Reference(
        _with_intervals("widened for the scorer's errors"),
        "Rogan, W. J., & Gladen, B. (1978). Estimating prevalence from the results of a screening test. American "
        "Journal of Epidemiology, 107(1), 71–76.",
    ),
    _Reference(
        _of_kind("bias", "pairs"),
        "Blodgett, S. L., Lopez, G., Olteanu, A., Sim, R., & Wallach, H. (2021). Stereotyping Norwegian salmon: An "
        "inventory of pitfalls in fairness benchmark datasets. Proceedings of ACL-IJCNLP 2021, 1004–1015.",
    ),
    _Reference(
        _set_to("reader", "crows_pairs"),
        "Nangia, N., Vania, C., Bhalerao, R., & Bowman, S. R. (2020). CrowS-Pairs: A challenge dataset for measuring "
        "social biases in masked language models. Proceedings of EMNLP 2020, 1953–1967.",
    ),
    _Reference(
        _set_to("reader", "stereoset"),
        "Nadeem, M., Bethke, A., & Reddy, S. (2021). StereoSet: Measuring stereotypical bias in pretrained language "
        "models. Proceedings of ACL-IJCNLP 2021, 5356–5371.",
    ),
    _Reference(
        _set_to("reader", "winobias"),
        "Zhao, J., Wang, T., Yatskar, M., Ordonez, V., & Chang, K.-W. (2018). Gender bias in coreference resolution: "
        "Evaluation and debiasing methods. Proceedings of NAACL-HLT 2018, 15–20.",
    ),
    _Reference(
        _set_to("reader", "bbq"),
        "Parrish, A., Chen, A., Nangia, N., Padmakumar, V., Phang, J., Thompson, J., Htut, P. M., & Bowman, S. R. "
        "(2022). BBQ: A hand-built bias benchmark for question answering. Findings of ACL 2022, 2086–2105.",
    ),
    _Reference(
        _of_kind("content"),
        "Krippendorff, K. (2004). Content analysis: An introduction to its methodology (2nd ed.). Sage.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Friedman, D., & Dieng, A. B. (2023). The Vendi score: A diversity evaluation metric for machine learning. "
        "Transactions on Machine Learning Research.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Li, J., Galley, M., Brockett, C., Gao, J., & Dolan, B. (2016). A diversity-promoting objective function for "
        "neural conversation models. Proceedings of NAACL-HLT 2016, 110–119.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Liu, S., Sabour, S., Zheng, Y., Ke, P., Zhu, X., & Huang, M. (2022). Rethinking and refining the distinct "
        "metric. Proceedings of ACL 2022 (Volume 2: Short Papers), 762–770.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Shaib, C., Barrow, J., Sun, J., Siu, A. F., Wallace, B. C., & Nenkova, A. (2024). Standardizing the "
        "measurement of text diversity: A tool and a comparative analysis of scores. arXiv:2403.00553.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Tevet, G., & Berant, J. (2021). Evaluating the evaluation of diversity in natural language generation. "
        "Proceedings of EACL 2021, 326–346.",
    ),
    _Reference(
        _of_kind("diversity"),
        "Zhu, Y., Lu, S., Zheng, L., Guo, J., Zhang, W., Wang, J., & Yu, Y. (2018). Texygen: A benchmarking platform "
        "for text generation models. Proceedings of SIGIR 2018, 1097–1100.",
    ),
    _Reference(
        _of_kind("diversity", "steering"),
        "Page, E. B. (1963). Ordered hypotheses for multiple treatments: A significance test for linear ranks. Journal "
        "of the American Statistical Association, 58(301), 216–230.",
    ),
    _Reference(
        _set_to("method", "activation"),
        "Rimsky, N., Gabrieli, N., Schulz, J., Tong, M., Hubinger, E., & Turner, A. M. (2024). Steering Llama 2 via "
        "contrastive activation addition. Proceedings of ACL 2024 (Volume 1: Long Papers), 15504–15522.",
    ),
    _Reference(
        _of_kind("association"),
        "Caliskan, A., Bryson, J. J., & Narayanan, A. (2017). Semantics derived automatically from language corpora "
        "contain human-like biases. Science, 356(6334), 183–186.",
    ),
    _Reference(
        _of_kind("association"),
        "May, C., Wang, A., Bordia, S., Bowman, S. R., & Rudinger, R. (2019). On measuring social biases in sentence "
        "encoders. Proceedings of NAACL-HLT 2019, 622–628.",
    ),
    _Reference(
        _measures("anisotropy"),
        "Ethayarajh, K. (2019). How contextual are contextualized word representations? Comparing the geometry of "
        "BERT, ELMo, and GPT-2 embeddings. Proceedings of EMNLP-IJCNLP 2019, 55–65.",
    ),
    _Reference(
        _measures("jsd_"),
        "Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on Information Theory, "
        "37(1), 145–151.",
    ),
    _Reference(
        _measures("premium"),
        "Petrov, A., La Malfa, E., Torr, P. H. S., & Bibi, A. (2023). Language model tokenizers introduce unfairness "
        "between languages. Advances in Neural Information Processing Systems 36. arXiv:2305.15425.",
    ),
    _Reference(
        _measures("byte_premium"),
        "Arnett, C., Chang, T. A., & Bergen, B. K. (2024). A bit of a problem: Measurement disparities in dataset "
        "sizes across languages. Proceedings of SIGUL 2024 at LREC-COLING 2024. arXiv:2403.00686.",
    ),
    _Reference(
        _measures("renyi_efficiency"),
        "Zouhar, V., Meister, C., Gastaldi, J. L., Du, L., Sachan, M., & Cotterell, R. (2023). Tokenization and the "
        "noiseless channel. Proceedings of ACL 2023 (Volume 1: Long Papers), 5184–5207.",
    ),
    _Reference(
        _measures("flips"),
        "Dutta, A., Krishnan, S., Kwatra, N., & Ramjee, R. (2024). Accuracy is not all you need. Advances in Neural "
        "Information Processing Systems 37. arXiv:2407.09141.",
    ),
    _Reference(
        _of_kind("performance"),
        "Fleming, P. J., & Wallace, J. J. (1986). How not to lie with statistics: The correct way to summarize "
        "benchmark results. Communications of the ACM, 29(3), 218–221.",
    ),
    _Reference(
        _of_kind("performance"),
        "Georges, A., Buytaert, D., & Eeckhout, L. (2007). Statistically rigorous Java performance evaluation. "
        "Proceedings of OOPSLA 2007, 57–76.",
    ),
    _Reference(
        _measures("_knee"),
        "Hockney, R. W., & Jesshope, C. R. (1981). Parallel computers: Architecture, programming and algorithms. Adam "
        "Hilger.",
    ),
    _Reference(
        _of_kind("performance"),
        "Hoefler, T., & Belli, R. (2015). Scientific benchmarking of parallel computing systems: Twelve ways to tell "
        "the masses when reporting performance results. Proceedings of SC15, Article 73.",
    ),
    _Reference(
        _of_kind("performance"),
        "Kalibera, T., & Jones, R. (2013). Rigorous benchmarking in reasonable time. Proceedings of ISMM 2013, 63–74.",
    ),
    _Reference(
        _with_intervals("effective sample size"),
        "Korn, E. L., & Graubard, B. I. (1998). Confidence intervals for proportions with small expected number of "
        "positive counts estimated from survey data. Survey Methodology, 24(2), 193–201.",
    ),
    _Reference(
        _measures("goodput"),
        "Zhong, Y., Liu, S., Chen, J., Hu, J., Zhu, Y., Liu, X., Jin, X., & Zhang, H. (2024). DistServe: "
        "Disaggregating prefill and decoding for goodput-optimized large language model serving. Proceedings of OSDI "
        "2024, 193–210.",
    ),
)
