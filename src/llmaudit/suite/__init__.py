"""The suite language: strict YAML in, audits that are ready to run out, or every mistake with its place."""

from __future__ import annotations

from llmaudit.suite.document import Document
from llmaudit.suite.load import load_suite
from llmaudit.suite.looks import AtLook, Look, LooksParams
from llmaudit.suite.model import AuditEntry, CheckEntry, Suite, SuiteFile
from llmaudit.suite.problems import Place
from llmaudit.suite.schema import json_schema
from llmaudit.suite.strict_yaml import parse
from llmaudit.suite.waivers import Waivers, read_suite_name, read_waivers

__all__ = [
    "AtLook",
    "AuditEntry",
    "CheckEntry",
    "Document",
    "Look",
    "LooksParams",
    "Place",
    "Suite",
    "SuiteFile",
    "Waivers",
    "json_schema",
    "load_suite",
    "parse",
    "read_suite_name",
    "read_waivers",
]
