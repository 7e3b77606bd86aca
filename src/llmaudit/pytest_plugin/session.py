"""What the audits of one pytest process share: settings, kinds, scorers, the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmaudit.audit import Audit
from llmaudit.cachedir import store_path
from llmaudit.engines.base import Engine, EngineOptions, Remarking, Variant
from llmaudit.engines.build import build_tokenizer
from llmaudit.plugins import BUILT_IN
from llmaudit.projects import project_aliases
from llmaudit.pytest_plugin.options import Settings
from llmaudit.pytest_plugin.recorder import run_folder
from llmaudit.scorers.base import Scorer
from llmaudit.store import ResponseStore, fingerprint

__all__ = ["AuditSession", "activate", "catalog", "session_of", "workers"]

_KEY = pytest.StashKey["AuditSession"]()


class AuditSession:
    """Settings and engine of a session; the engine is loaded when the first audit starts."""

    def __init__(self, config: pytest.Config) -> None:
        self.settings = Settings.of(config)
        self.folder = run_folder(config, self.settings)
        self._config = config
        self._engine: Engine | None = None
        self._refusal: Exception | None = None
        self._store: ResponseStore | None = None
        self.remarks: list[str] = []
        """What happened on the way that a reader of the report must know."""
        self._suites: dict[str, Path] = {}

    def options(self, model: str | None = None) -> EngineOptions:
        """Return what an engine is made from; `model` takes the place of the session's."""
        settings = self.settings
        return EngineOptions(
            model=model or settings.model or "",
            engine=settings.engine,
            dtype=settings.dtype,
            device=settings.device,
            revision=None if model else settings.revision,
            quantization=settings.quantization,
            base_url=settings.base_url,
            seed=settings.seed,
            batch_size=settings.batch_size,
            aliases=project_aliases(self._config.rootpath),
        )

    def engine(self) -> Engine:
        """Return the engine, loaded on the first call. Raises ModelError; whatever it raises, it raises every time."""
        if self._refusal is not None:
            raise self._refusal
        if self._engine is None:
            try:
                self._engine = self._config.hook.pytest_llmaudit_make_engine(options=self.options())
            except Exception as error:
                # Minutes of loading, to fail again in every audit.
                self._refusal = error
                raise
        assert self._engine is not None  # noqa: S101 - the built-in hook raises or answers
        return self._engine

    def store(self) -> ResponseStore | None:
        """Return the store of responses, unless the user goes round it or nothing could be kept. Raises StoreError."""
        if self.settings.no_cache or fingerprint(self.engine().info, self.settings.seed) is None:
            return None
        if self._store is None:
            self._store = ResponseStore(store_path())
        return self._store

    def notes(self) -> list[str]:
        """Return the remarks of the session, of its store and of its engine."""
        stored = [self._store.remark] if self._store is not None and self._store.remark else []
        computed: Sequence[str] = self._engine.remarks if isinstance(self._engine, Remarking) else []
        return [*stored, *computed, *self.remarks]

    def claim(self, suite: str, path: Path) -> None:
        """Note which file has a suite's name. Raises CollectError where another has it: their records would mix."""
        if self._suites.setdefault(suite, path) != path:
            raise pytest.Collector.CollectError(
                f"{path}:1:1: suite: the name {suite!r} is that of {self._suites[suite]} too; give one of them another"
            )

    def tokenizer(self, model: str) -> Engine:
        """Return the tokenizer of another model as an engine of its own."""
        return build_tokenizer(self.options(model))

    def variant(self, variant: Variant) -> Engine:
        """Return another model, or this one in another form, as an engine of its own. Raises ModelError."""
        options = self.options(variant.model)
        options = replace(
            options,
            dtype=variant.dtype or options.dtype,
            quantization=variant.quantization or (None if variant.model else options.quantization),
        )
        engine: Engine = self._config.hook.pytest_llmaudit_make_engine(options=options)
        return engine

    def pytest_sessionfinish(self) -> None:
        """Free the model and close the store."""
        if self._store is not None:
            self._store.close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def activate(config: pytest.Config, *modules: ModuleType) -> None:
    """Make the session ready for suites, once: the built-in kinds, scorers and `modules` become plugins."""
    if _KEY in config.stash:
        return
    manager = config.pluginmanager
    for module in (*BUILT_IN, *modules):
        if not manager.is_registered(module):
            manager.register(module)
    config.stash[_KEY] = state = AuditSession(config)
    manager.register(state, "llmaudit-session")


def session_of(config: pytest.Config) -> AuditSession:
    """Return what `activate` made."""
    return config.stash[_KEY]


def workers(config: pytest.Config) -> int:
    """How many processes of pytest-xdist this one is one of; 1 without it."""
    return int(getattr(config, "workerinput", {}).get("workercount", 1))


def catalog(node: pytest.Collector) -> tuple[dict[str, type[Audit[Any]]], dict[str, Scorer]]:
    """Return the kinds and the scorers that plugins and the conftest files above a suite provide, by name.

    Raises CollectError where two plugins claim one name.
    """
    kinds: dict[str, type[Audit[Any]]] = {}
    for kind in _flat(node.ihook.pytest_llmaudit_audits()):
        if kinds.setdefault(kind.kind, kind) is not kind:
            raise node.CollectError(
                f"two kinds are called {kind.kind!r}: {_where(kinds[kind.kind])} and {_where(kind)}"
            )
        node.config.addinivalue_line("markers", f"{kind.kind}: audits of the kind {kind.kind}")
    scorers: dict[str, Scorer] = {}
    for scorer in _flat(node.ihook.pytest_llmaudit_scorers()):
        if scorers.setdefault(scorer.name, scorer) is not scorer:
            both = f"{_where(type(scorers[scorer.name]))} and {_where(type(scorer))}"
            raise node.CollectError(f"two scorers are called {scorer.name!r}: {both}")
    return kinds, scorers


def _flat(answers_of_plugins: Sequence[Sequence[Any]]) -> list[Any]:
    # pluggy answers with the last registered plugin first; the built-in ones should come first.
    return [item for items in reversed(answers_of_plugins) for item in items]


def _where(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
