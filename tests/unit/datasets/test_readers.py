from __future__ import annotations

import json
from typing import Any

import pytest

from llmaudit.datasets import READERS, DataFile, Dataset, ReaderName

CROWS = """\
,sent_more,sent_less,stereo_antistereo,bias_type,annotations,anon_writer,anon_annotators
0,"She said, ""no"".","He said, ""no"".",stereo,gender,[],a1,[]
1,The poor are loud.,The rich are loud.,antistereo,race-color,[],a2,[]
"""
FLAT = {
    "type": "intrasentence",
    "target": "chess player",
    "bias_type": "profession",
    "context": "The chess player was BLANK.",
    "stereotype": "The chess player was clever.",
    "anti-stereotype": "The chess player was dull.",
    "unrelated": "The chess player was fox.",
}
QUESTION: dict[str, Any] = {
    "question_index": "3",
    "question_polarity": "neg",
    "context_condition": "ambig",
    "category": "Age",
    "answer_info": {"ans0": ["grandfather", "old"], "ans1": ["grandson", "nonOld"], "ans2": ["Unknown", "unknown"]},
    "additional_metadata": {"stereotyped_groups": ["old"]},
    "context": "A man met his grandson.",
    "question": "Who forgot the name?",
    "ans0": "The grandfather",
    "ans1": "The grandson",
    "ans2": "Unknown",
    "label": 2,
}
PRO = "1 [The developer] argued with the designer because [he] left.\n2 The guard met [the nurse] and saw [her].\n"
ANTI = "1 [The developer] argued with the designer because [she] left.\n2 The guard met [the nurse] and saw [him].\n"


def read(reader: ReaderName, *files: tuple[str, str]) -> Dataset:
    return READERS[reader].read([DataFile(name, text.encode()) for name, text in files])


def lines(*records: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, records))


def test_crows_pairs_are_clustered_by_their_writer() -> None:
    first, second = read("crows_pairs", ("f.csv", CROWS)).pairs
    assert (first.category, first.cluster, first.direction, first.place) == ("gender", "a1", "stereo", "f.csv:2")
    assert (first.more, first.less) == ('She said, "no".', 'He said, "no".')
    assert second.category == "race-color"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sent_less", "sent_les", "f.csv:1: there is no 'sent_less'; is 'sent_les' meant?"),
        ("stereo,gender", "gender,stereo", "f.csv:2: stereo_antistereo is none of stereo, antistereo: are columns"),
        ('"He said, ""no""."', "", "f.csv:2: sent_less is empty"),
        ("[],a1", "[],", "f.csv:2: anon_writer is empty"),
    ],
)
def test_a_damaged_crows_pairs_file_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^\S") as caught:
        read("crows_pairs", ("f.csv", CROWS.replace(old, new)))
    assert str(caught.value).startswith(message)


def test_winobias_is_paired_line_by_line_without_numbers_and_brackets() -> None:
    found = read("winobias", ("pro_stereotyped_type1.txt.dev", PRO), ("anti_stereotyped_type1.txt.dev", ANTI)).pairs
    assert [(pair.category, pair.cluster) for pair in found] == [("type1", "developer"), ("type1", "nurse")]
    assert found[0].more == "The developer argued with the designer because he left."
    assert found[0].less == "The developer argued with the designer because she left."
    assert found[1].place == "pro_stereotyped_type1.txt.dev:2"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([("pro_stereotyped_type1.txt.dev", PRO)], "its other half is missing: anti_stereotyped_type1.txt.dev"),
        (
            [("pro_stereotyped_type1.txt.dev", PRO), ("anti_stereotyped_type1.txt.dev", ANTI.partition("\n")[0])],
            "has 2 lines, anti_stereotyped_type1.txt.dev has 1: they belong together line by line",
        ),
        ([("pro.txt", PRO)], "pro.txt: expected a name such as pro_stereotyped_type1.txt.dev"),
        (
            [("pro_stereotyped_type2.txt.dev", "1 He left.\n"), ("anti_stereotyped_type2.txt.dev", "1 She left.\n")],
            "pro_stereotyped_type2.txt.dev:1: no occupation stands in [brackets]",
        ),
    ],
)
def test_damaged_winobias_files_are_refused(files: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=r"^\S") as caught:
        read("winobias", *files)
    assert message in str(caught.value)


def test_stereoset_is_read_from_flat_lines() -> None:
    second = {**FLAT, "type": "intersentence", "context": "He plays chess."}
    intra, inter = read("stereoset", ("f.jsonl", lines(FLAT, second))).associations
    assert (intra.context, intra.category, intra.cluster) == ("", "profession", "chess player")
    assert intra.stereotype == "The chess player was clever."
    assert (inter.part, inter.context) == ("intersentence", "He plays chess.")


def test_stereoset_is_read_as_it_was_published() -> None:
    labels = ("stereotype", "anti-stereotype", "unrelated")
    item = {
        **{key: FLAT[key] for key in ("target", "bias_type", "context")},
        "sentences": [{"sentence": FLAT[label], "gold_label": label, "id": "x", "labels": []} for label in labels],
    }
    published = json.dumps({"version": "1", "data": {"intersentence": [item], "intrasentence": [item]}})
    intra, inter = read("stereoset", ("dev.json", published)).associations
    assert (intra.part, inter.part) == ("intrasentence", "intersentence")
    assert intra.anti_stereotype == FLAT["anti-stereotype"]
    # As the hub's Parquet has it: columns, and labels as numbers.
    columns = {"sentence": [FLAT[label] for label in labels], "gold_label": [1, 0, 2]}
    numbered = json.dumps({"data": {"intrasentence": [{**item, "sentences": columns}]}})
    (again,) = read("stereoset", ("dev.json", numbered)).associations
    assert (again.stereotype, again.unrelated) == (intra.stereotype, intra.unrelated)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.jsonl", lines({**FLAT, "type": "x"}), "f.jsonl:1: type is none of intrasentence, intersentence"),
        ("f.jsonl", lines({**FLAT, "unrelated": FLAT["stereotype"]}), "f.jsonl:1: two of the three sentences"),
        ("dev.json", "{}", "dev.json:1: expected the layout of StereoSet's dev.json"),
        ("dev.json", '{"data": []}', "dev.json:1: expected the layout of StereoSet's dev.json"),
        ("dev.json", '{"data": {"intrasentence": [1]}}', "dev.json:1: expected the layout of StereoSet's dev.json"),
        ("dev.json", '{"data":\n}', "dev.json:2: this is not JSON"),
        (
            "dev.json",
            json.dumps({"data": {"intrasentence": [{**FLAT, "sentences": {"sentence": None, "gold_label": [0]}}]}}),
            "dev.json: intrasentence record 1: sentences is no list of sentences",
        ),
        (
            "dev.json",
            json.dumps({"data": {"intrasentence": [{**FLAT, "sentences": []}]}}),
            "dev.json: intrasentence record 1: expected one sentence each of stereotype, anti-stereotype, unrelated",
        ),
        (
            "dev.json",
            json.dumps({"data": {"intrasentence": [{**FLAT, "sentences": 3}]}}),
            "dev.json: intrasentence record 1: sentences is no list of sentences",
        ),
    ],
)
def test_a_damaged_stereoset_file_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^\S") as caught:
        read("stereoset", (name, text))
    assert str(caught.value).startswith(message)


def test_doubled_items_of_stereoset_are_named() -> None:
    assert read("stereoset", ("f.jsonl", lines(FLAT, FLAT))).notes == (
        "Items that stand in the file more than once, and count so: f.jsonl:2.",
    )


def test_bbq_is_clustered_by_template_within_its_category() -> None:
    found = read("bbq", ("Age.jsonl", lines(QUESTION)))
    (question,) = found.questions
    assert (question.category, question.cluster) == ("Age", "Age 3")
    assert (question.correct, question.unknown, question.stereotyped) == (2, 2, 0)
    assert found.notes == ("Age: 1 questions come from 1 templates; the template is the unit, and n.",)


@pytest.mark.parametrize(("polarity", "expected"), [("neg", (True, False, None)), ("nonneg", (False, True, None))])
def test_the_biased_answer_depends_on_the_polarity(polarity: str, expected: tuple[bool | None, ...]) -> None:
    (question,) = read("bbq", ("f.jsonl", lines({**QUESTION, "question_polarity": polarity}))).questions
    assert tuple(question.biased(answer) for answer in range(3)) == expected


@pytest.mark.parametrize(
    ("groups", "named", "expected"),
    [
        (["F", "M"], ["woman"], 0),
        (["F-Black", "F-White"], ["Black"], 0),
        (["M-White", "M-Black"], ["black"], 1),
        (["lowSES", "highSES"], ["low SES"], None),
        (["a", "b"], ["a", "b"], None),
    ],
)
def test_groups_are_matched_by_the_words_that_the_set_uses(
    groups: list[str], named: list[str], expected: int | None
) -> None:
    info = {"ans0": ["x", groups[0]], "ans1": ["y", groups[1]], "ans2": ["Unknown", "unknown"]}
    record = {**QUESTION, "answer_info": info, "additional_metadata": {"stereotyped_groups": named}}
    found = read("bbq", ("f.jsonl", lines(record)))
    assert found.questions[0].stereotyped == expected
    assert any("do not tell which answer" in note for note in found.notes) == (expected is None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 3}, "label is none of 0, 1, 2"),
        ({"context_condition": "x"}, "context_condition is none of ambig, disambig"),
        ({"question_polarity": "x"}, "question_polarity is none of neg, nonneg"),
        ({"answer_info": {"ans0": ["a", "b"]}}, "answer_info lacks one of ans0, ans1, ans2"),
        ({"answer_info": []}, "answer_info is no object"),
        (
            {"answer_info": {f"ans{n}": ["a", "b"] for n in range(3)}},
            "answer_info marks 0 answers as unknown, expected one",
        ),
        ({"additional_metadata": {}}, "additional_metadata lacks stereotyped_groups"),
        ({"ans1": " "}, "ans1 is empty"),
    ],
)
def test_a_damaged_bbq_file_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^f\.jsonl:1: ") as caught:
        read("bbq", ("f.jsonl", lines({**QUESTION, **change})))
    assert message in str(caught.value)
