"""Sequence classifiers: the same probabilities as transformers alone, in batches, with long texts cut and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llmaudit.engines.hf.classifier import SequenceClassifier, load_classifier
from llmaudit.engines.hf.quiet import quiet
from llmaudit.errors import ModelError
from tests.unit.tiny_classifier import CONTEXT, save_classifier

CPU = torch.device("cpu")
TEXTS = ("the cat sleeps.", "a", "no dog is here", "", "some text that is far too long to be read in one go", "zzz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"), ("good", "bad", "odd"))


def logits(folder: Path, text: str) -> torch.Tensor:
    """What transformers alone makes of one text."""
    with quiet(), torch.inference_mode():
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=CONTEXT)
        found: torch.Tensor = model(inputs["input_ids"], inputs["attention_mask"]).logits[0]
    return found


@pytest.mark.parametrize("model", ["Bert", "Roberta"])
def test_a_batch_gives_what_transformers_gives_one_by_one(tmp_path: Path, model: str) -> None:
    folder = save_classifier(tmp_path, ("good", "bad", "odd"), model)
    found, _ = SequenceClassifier(folder, CPU).probabilities(TEXTS)
    expected = [logits(folder, text).softmax(-1).tolist() for text in TEXTS]
    assert found == pytest.approx(np.array(expected), abs=1e-5)
    assert found.sum(1) == pytest.approx(np.ones(len(TEXTS)))
    assert np.ptp(found[:, 0]) > 0.05  # the texts matter


def test_labels_that_do_not_exclude_each_other_have_probabilities_of_their_own(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, ("rude", "loud"), problem_type="multi_label_classification")
    found, _ = SequenceClassifier(folder, CPU).probabilities(TEXTS[:2])
    expected = [logits(folder, text).sigmoid().tolist() for text in TEXTS[:2]]
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_one_label_has_a_probability_too(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, ("rude",))
    found, _ = SequenceClassifier(folder, CPU).probabilities(TEXTS[:1])
    assert found == pytest.approx(np.array([logits(folder, TEXTS[0]).sigmoid().tolist()]), abs=1e-5)


@pytest.mark.parametrize("model", ["Bert", "Roberta"])
def test_long_texts_are_cut_to_what_the_model_reads_and_told(tmp_path: Path, model: str) -> None:
    classifier = SequenceClassifier(save_classifier(tmp_path, model=model), CPU)
    assert classifier.max_length == CONTEXT
    fits = "a" * (CONTEXT - 2)  # with the two special tokens
    found, cut = classifier.probabilities([fits, fits + "a", fits + "bcd", "a"])
    assert cut.tolist() == [False, True, True, False]
    assert found[1] == pytest.approx(found[0])


def test_the_order_of_texts_and_their_company_change_nothing(folder: Path) -> None:
    classifier = SequenceClassifier(folder, CPU)
    found, _ = classifier.probabilities(TEXTS)
    turned, _ = classifier.probabilities(TEXTS[::-1])
    assert turned[::-1] == pytest.approx(found, abs=1e-6)
    assert np.array_equal(classifier.probabilities(TEXTS)[0], found)
    assert classifier.probabilities([])[0].shape == (0, 3)


def test_full_memory_is_answered_by_half_a_batch(folder: Path, quick_release: None) -> None:
    classifier = SequenceClassifier(folder, CPU)
    expected, _ = classifier.probabilities(TEXTS)
    usual, rows = classifier._model, []

    class Small:
        config = usual.config

        def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            if len(input_ids) > 2:
                raise torch.OutOfMemoryError
            rows.append(len(input_ids))
            return usual(input_ids=input_ids, attention_mask=attention_mask)

    classifier._model = Small()
    found, _ = classifier.probabilities(TEXTS)
    assert found == pytest.approx(expected, abs=1e-6)
    assert max(rows) <= 2


def test_a_text_that_does_not_fit_alone_is_an_error(folder: Path, quick_release: None) -> None:
    classifier = SequenceClassifier(folder, CPU)

    def full(**_: Any) -> Any:
        raise torch.OutOfMemoryError

    classifier._model = full
    with pytest.raises(ModelError, match="more memory than the device has"):
        classifier.probabilities(["a"])


def test_a_folder_is_loaded_once(folder: Path) -> None:
    assert load_classifier(folder, "cpu") is load_classifier(folder, "cpu")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled only"):
        SequenceClassifier(folder, CPU)


def test_a_model_without_a_classification_head_is_refused(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    with quiet():
        transformers.BertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(ModelError, match="lack classifier"):
        SequenceClassifier(folder, CPU)


def test_a_model_that_predicts_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="predicts a number"):
        SequenceClassifier(save_classifier(tmp_path, ("size",), problem_type="regression"), CPU)


def test_a_tokenizer_without_padding_is_refused_where_the_model_has_none_either(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (file := folder / name).is_file():
            told = json.loads(file.read_text(encoding="utf-8"))
            told.pop("pad_token", None)
            file.write_text(json.dumps(told), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}), encoding="utf-8")
    with pytest.raises(ModelError, match="no padding token"):
        SequenceClassifier(folder, CPU)


def test_damaged_weights_are_told_in_one_line(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="the classifier does not load") as caught:
        SequenceClassifier(folder, CPU)
    assert "\n" not in str(caught.value)
