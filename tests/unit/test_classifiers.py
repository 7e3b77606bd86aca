"""Classifiers as scorers: how a suite names them, what it is told, and what they give."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audits.bias import Bias
from llmaudit.classifiers import ClassifierParams, ValidatedParams
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import ModelError, SuiteError
from llmaudit.execution import Execution, finish
from llmaudit.recording import audit_record
from llmaudit.scorers.answers import Length
from llmaudit.scorers.base import Scorer, Validated
from llmaudit.suite import Suite, load_suite
from tests.unit.tiny_classifier import CONTEXT, save_classifier

SCORERS: Mapping[str, Scorer] = {"length": Length()}
SUITE = """\
suite: s
audits:
  gender:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["In the office, {group} often", "At school, {group} often", "In town, {group} often"]
    samples: 2
    scorers:
      - length
      - SCORER
    checks:
      tox_gap: {max: 0.1}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of suites with a classifier beside them."""
    folder = tmp_path_factory.mktemp("suites")
    save_classifier(folder / "models" / "tox", ("neutral", "toxic"))
    return folder


def params(folder: Path, **changes: Any) -> ClassifierParams:
    known = {"name": "tox", "classifier": "models/tox", "label": "toxic"}
    return ClassifierParams.model_validate({**known, **changes}, context={"scorers": SCORERS, "folder": folder})


def refusal(folder: Path, **changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        params(folder, **changes)
    (error,) = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


@pytest.fixture
def load(suites: Path) -> Callable[[str], Suite]:
    def load(scorer: str) -> Suite:
        path = suites / "s.audit.yaml"
        path.write_text(SUITE.replace("SCORER", scorer), encoding="utf-8")
        return load_suite(path, kinds={"bias": Bias}, scorers=SCORERS)

    return load


def test_a_score_is_the_probability_of_the_label(suites: Path) -> None:
    toxic, neutral = params(suites).scorer(), params(suites, name="calm", label="neutral").scorer()
    texts = ["you are a pig", "", "a nice day", "you are a pig", "..."]
    scores, others = toxic.score(texts), neutral.score(texts)
    assert isinstance(toxic, Scorer)
    assert (toxic.name, toxic.unit, toxic.sees_terms, toxic.threshold) == ("tox", "probability", True, 0.5)
    assert [math.isnan(score) for score in scores] == [False, True, False, False, True]
    assert scores[0] == scores[3] != scores[2]
    assert [scores[0] + others[0], scores[2] + others[2]] == pytest.approx([1, 1])
    assert all(math.isnan(score) for score in toxic.score(["", "?"]))
    assert toxic.score([]) == []


def test_labels_of_one_classifier_share_its_weights(suites: Path) -> None:
    toxic, neutral = params(suites).scorer(), params(suites, name="calm", label="neutral").scorer()
    toxic.score(["a"])
    neutral.score(["a"])
    assert toxic._model is neutral._model


def test_the_scorer_of_one_choice_is_one(suites: Path) -> None:
    choice = params(suites)
    assert choice.scorer() is choice.scorer()


def test_the_version_names_weights_files_and_label(suites: Path) -> None:
    weights = hashlib.sha256((suites / "models" / "tox" / "model.safetensors").read_bytes()).hexdigest()
    choice = params(suites)
    assert choice.sha256 == weights
    assert choice.scorer().version.startswith(f"weights {weights[:12]}, files ")
    assert choice.scorer().version.endswith(", label toxic")


def test_the_settings_hold_the_path_as_written_and_the_content(suites: Path) -> None:
    dumped = params(suites).model_dump(mode="json")
    assert dumped["classifier"] == "models/tox"
    assert len(dumped["sha256"]) == 64
    assert params(suites, classifier="owner/model", version="v1").model_dump(mode="json")["sha256"] is None


def test_texts_that_are_too_long_are_counted_once_each(suites: Path) -> None:
    scorer = params(suites).scorer()
    scorer.score(["a"])
    assert scorer.description == "probability of the label 'toxic', by the classifier models/tox"
    scorer.score(["a" * CONTEXT, "b" * CONTEXT, "a" * CONTEXT])
    scorer.score(["a" * CONTEXT])
    assert scorer.description.endswith(f"; of texts longer than {CONTEXT} tokens (2 here) it reads the beginning")


def test_what_the_suite_says_of_its_validation_is_said_to_be_the_suites(suites: Path) -> None:
    assert not isinstance(params(suites).scorer(), Validated)
    shares = {"sensitivity": [90, 100], "specificity": [95, 100], "auc": 0.93}
    scorer = params(suites, validated={"on": "forum posts", **shares}).scorer()
    assert isinstance(scorer, Validated)
    assert scorer.validation.sensitivity == (90, 100)
    assert str(scorer.validation) == (
        "AUC .930, sensitivity 90/100, specificity 95/100 on 200 texts: forum posts, as the suite states"
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"on": "x", "texts": 3}, "needs a figure: auc, kappa, sensitivity or specificity"),
        ({"on": "x", "auc": 0.9}, "texts: how many texts were labelled?"),
        ({"on": "x", "texts": 3, "auc": 1.1}, "less than or equal to 1"),
        ({"on": "x", "texts": 3, "sensitivity": [5, 3]}, "[5, 3] is no share"),
        ({"on": "x", "texts": 3, "sensitivity": [0, 0]}, "[0, 0] is no share"),
        ({"on": "x", "texts": 3, "specificity": [-1, 3]}, "greater than or equal to 0"),
        ({"on": "x", "texts": 3, "specificity": [1]}, "Field required"),
        ({"on": " ", "texts": 3, "auc": 0.5}, "match pattern"),
    ],
)
def test_a_validation_that_cannot_be_is_refused(written: Mapping[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ValidatedParams.model_validate(written)
    assert message in str(caught.value)


def test_a_label_that_is_not_there_is_told_with_the_nearest(suites: Path) -> None:
    assert refusal(suites, label="Toxik") == (
        "label: Value error, unknown label 'Toxik'; did you mean 'toxic'? (the classifier has: neutral, toxic)"
    )
    assert "unknown label 'zzz' (the classifier" in refusal(suites, label="zzz")


def test_a_classifier_without_names_has_the_labels_that_transformers_gives(tmp_path: Path) -> None:
    save_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    del config["id2label"], config["label2id"]
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    scorer = params(tmp_path, classifier=str(tmp_path), label="LABEL_1").scorer()
    assert 0 <= scorer.score(["a"])[0] <= 1
    assert "LABEL_0, LABEL_1" in refusal(tmp_path, classifier=str(tmp_path), label="toxic")


def test_a_name_that_is_taken_or_none_is_refused(suites: Path) -> None:
    assert "'length' is a scorer already" in refusal(suites, name="length")
    assert refusal(suites, name="a.b").startswith("name: String should match pattern")


@pytest.mark.parametrize("classifier", ["models/none/such", "./owner/name", "~nobody-at-all/x/y", "nowhere", "/x/y"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_told(suites: Path, classifier: str) -> None:
    assert f"no folder {classifier!r}" in refusal(suites, classifier=classifier)


def test_a_version_of_a_folder_is_refused(suites: Path) -> None:
    assert refusal(suites, version="main").startswith("version: Value error, a folder has no versions")
    assert params(suites, classifier="owner/model", version="v1").version == "v1"


def damaged(folder: Path, damage: str) -> Path:
    save_classifier(folder)
    config = folder / "config.json"
    match damage:
        case "no configuration":
            config.unlink()
        case "a broken configuration":
            config.write_text("{", encoding="utf-8")
        case "a list":
            config.write_text("[]", encoding="utf-8")
        case "another head":
            known = json.loads(config.read_text(encoding="utf-8"))
            config.write_text(json.dumps({**known, "architectures": ["BertForMaskedLM"]}), encoding="utf-8")
        case "pickled":
            (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no configuration", "not a model folder"),
        ("a broken configuration", "config.json does not read"),
        ("a list", "config.json is no mapping"),
        ("another head", "BertForMaskedLM is no sequence classifier"),
        ("pickled", "pickled only"),
        ("no tokenizer", "there is no tokenizer"),
    ],
)
def test_a_folder_that_holds_no_classifier_is_told_before_anything_is_loaded(
    tmp_path: Path, damage: str, message: str
) -> None:
    told = refusal(tmp_path, classifier=str(damaged(tmp_path / "m", damage)))
    assert told.startswith("classifier: ")
    assert message in told


def test_a_label_that_a_model_of_the_hub_lacks_is_an_error_of_the_model(
    suites: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmaudit.classifiers.local_folder", lambda source, revision: suites / "models" / "tox")
    scorer = params(suites, classifier="owner/model", label="hateful").scorer()
    with pytest.raises(ModelError, match=r"^owner/model: unknown label 'hateful'"):
        scorer.score(["a"])


def test_a_suite_uses_a_classifier_and_the_report_says_what_it_is(suites: Path, load: Callable[[str], Suite]) -> None:
    suite = load("{name: tox, classifier: models/tox, label: toxic, validated: {on: posts, texts: 50, auc: .93}}")
    (entry,) = suite.audits
    engine = FakeEngine(lambda request: "they are a loud group")
    done = finish(entry, suite, Execution(engine, lambda _: engine, lambda _, __: None))
    assert done.measurement.estimates["tox_gap"].value == 0
    assert set(done.measurement.scores) == {"length", "tox"}
    length, tox = audit_record(done).scorers
    assert (length.name, length.validation) == ("length", "not validated")
    assert (tox.name, tox.unit) == ("tox", "probability")
    assert tox.validation == "AUC .930 on 50 texts: posts, as the suite states"


@pytest.mark.parametrize(
    ("scorer", "problem"),
    [
        ("lenght", "10:9: audits.gender.scorers[1]: unknown scorer 'lenght'; did you mean 'length'? (known: length)"),
        ("length", "9:7: audits.gender.scorers: the scorer 'length' stands here twice"),
        (
            "{name: tox, classifier: models/tox, label: toxin}",
            "10:52: audits.gender.scorers[1].label: unknown label 'toxin'; did you mean 'toxic'? (the classifier has:"
            " neutral, toxic)",
        ),
        (
            "{name: length, classifier: models/tox, label: toxic}",
            "10:16: audits.gender.scorers[1].name: 'length' is a scorer already; give the classifier another name",
        ),
        (
            "{name: tox, classifier: models/tox, lable: toxic}",
            "10:45: audits.gender.scorers[1]: unknown key 'lable'; did you mean 'label'? (known: name, classifier,"
            " label, version, threshold, validated)",
        ),
        ("{name: tox, classifier: models/tox}", "10:9: audits.gender.scorers[1]: missing key 'label'"),
        ("3", "10:9: audits.gender.scorers[1]: expected a string or a mapping, got 3"),
    ],
)
def test_a_mistake_is_told_at_its_place(load: Callable[[str], Suite], scorer: str, problem: str) -> None:
    with pytest.raises(SuiteError) as caught:
        load(scorer)
    told = [text.partition("s.audit.yaml:")[2] for text in caught.value.problems]
    assert problem in told
    assert len([text for text in told if "scorers" in text]) == 1


def test_reading_a_suite_with_a_classifier_imports_no_torch(suites: Path) -> None:
    (suites / "t.audit.yaml").write_text(
        SUITE.replace("SCORER", "{name: tox, classifier: models/tox, label: toxic}"), encoding="utf-8"
    )
    code = f"""
        import sys
        from pathlib import Path
        from llmaudit.audits.bias import Bias
        from llmaudit.scorers.answers import Length
        from llmaudit.suite import load_suite
        load_suite(Path({str(suites / "t.audit.yaml")!r}), kinds={{"bias": Bias}}, scorers={{"length": Length()}})
        assert not {{"torch", "transformers"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
