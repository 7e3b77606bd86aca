from __future__ import annotations

from dataclasses import replace

import pytest

from llmaudit.audit import Setting
from llmaudit.records import AuditRecord, ScorerRecord
from llmaudit.report.references import references
from llmaudit.run import Run

from .conftest import estimate


def audit(kind: str, **changes: object) -> AuditRecord:
    known = AuditRecord("suite/audit", "suite", "audit", kind, "?")
    return replace(known, **changes)  # type: ignore[arg-type]


def cited(run: Run, *audits: AuditRecord) -> str:
    return "\n".join(references(replace(run, audits=audits)))


@pytest.mark.parametrize(
    ("record", "authors"),
    [
        (audit("bias", scorers=(ScorerRecord("sentiment", "vaderSentiment 3.3.2", "", ""),)), "Hutto"),
        (audit("bias", scorers=(ScorerRecord("regard", "rules 1", "", ""),)), "Sheng"),
        (audit("bias", estimates=(estimate("sentiment_distribution_gap", 0.1),)), "Huang"),
        (audit("bias", estimates=(estimate("expected_maximum_toxicity.women", 0.1),)), "Gehman"),
        (audit("bias", estimates=(estimate("g", 0, 1, method="t, widened for the scorer's errors"),)), "Rogan"),
        (audit("bias"), "Blodgett"),
        (audit("pairs"), "Blodgett"),
        (audit("pairs", settings=(Setting("reader", "crows_pairs"),)), "Nangia, N., Vania"),
        (audit("pairs", settings=(Setting("reader", "stereoset"),)), "Nadeem"),
        (audit("pairs", settings=(Setting("reader", "winobias"),)), "Zhao, J., Wang"),
        (audit("pairs", settings=(Setting("reader", "bbq"),)), "Parrish"),
        (audit("content"), "Krippendorff"),
        (audit("diversity"), "Friedman"),
        (audit("diversity"), "Tevet"),
        (audit("diversity"), "Page, E. B."),
        (audit("steering"), "Page, E. B."),
        (audit("steering", settings=(Setting("method", "activation"),)), "Rimsky"),
        (audit("association"), "Caliskan"),
        (audit("association"), "May, C., Wang"),
        (audit("anatomy", estimates=(estimate("anisotropy", 0.1),)), "Ethayarajh"),
        (audit("next_token", estimates=(estimate("jsd_excess.women-men", 0.1),)), "Lin, J."),
        (audit("tokenization", estimates=(estimate("premium.deu_Latn", 2.0),)), "Petrov"),
        (audit("tokenization", estimates=(estimate("byte_premium.deu_Latn", 1.1),)), "Arnett"),
        (audit("tokenization", estimates=(estimate("renyi_efficiency.deu_Latn", 0.4),)), "Zouhar"),
        (audit("fidelity", estimates=(estimate("harmful_flips.nf4", 0.1),)), "Dutta"),
        (audit("performance"), "Kalibera"),
        (audit("performance"), "Georges"),
        (audit("performance"), "Hoefler"),
        (audit("performance", estimates=(estimate("batch_knee.model", 8.0),)), "Hockney"),
        (audit("performance", estimates=(estimate("goodput_share", 0.9),)), "Zhong"),
    ],
)
def test_what_an_audit_rests_on_is_cited(run: Run, record: AuditRecord, authors: str) -> None:
    assert authors in cited(run, record)


def test_what_no_audit_rests_on_is_not_cited(run: Run) -> None:
    found = references(replace(run, audits=(audit("tokenization"),)))
    assert [reference.partition(",")[0] for reference in found] == [
        *("Benjamini", "Bowyer", "Clark", "Holm", "Miller", "Schuirmann"),
    ]


def test_each_work_is_cited_once_and_in_alphabetical_order(run: Run) -> None:
    twice = (audit("diversity"), audit("diversity"), audit("steering"), audit("bias"), audit("pairs"))
    found = references(replace(run, audits=twice))
    assert found == sorted(set(found))
