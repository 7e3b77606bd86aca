"""The LM Evaluation Harness: `HFLM.loglikelihood` at several batch sizes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llmaudit.engines.hf.quiet import quiet

__all__ = ["Harness"]


class Harness:
    """One model of lm-eval, loaded when it is first asked: where lm-eval is missing, its rows say so."""

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device

    def loglikelihoods(self, sentences: Sequence[str], batch_size: int) -> list[float]:
        """Return the log-likelihood of each sentence after the start token, in nats."""
        from lm_eval.api.instance import Instance  # noqa: PLC0415 - a peer, which may be missing

        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=("", sentence), idx=0) for sentence in sentences
        ]
        # One set of weights serves all batch sizes.
        self._model.batch_size_per_gpu = batch_size
        return [float(logprob) for logprob, _ in self._model.loglikelihood(requests, disable_tqdm=True)]

    @cached_property
    def _model(self) -> Any:
        from lm_eval.models.huggingface import HFLM  # noqa: PLC0415 - see above

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        with quiet():
            return HFLM(pretrained=str(self._folder), dtype="float32", device=self._device)
