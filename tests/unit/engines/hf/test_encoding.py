"""From texts to token ids: one start token, and a seam where the text says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.hf.encoding import Encoder
from llmaudit.types import Completion, Failure, Generate, Sampling, Score

TEMPLATE = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
LETTERS = st.text(st.sampled_from("abz. äß\n"), max_size=12)


@pytest.fixture(scope="module")
def starting(tiny: Any) -> Any:
    """A tokenizer that adds a start token."""
    return tiny.byte_fallback(chat_template="<s>" + TEMPLATE)


@pytest.fixture(scope="module")
def bracketed(tiny: Any) -> Any:
    """A tokenizer that adds a start and an end token."""
    from tokenizers import processors

    tokenizer = tiny.byte_fallback()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> $B </s>", [("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


@pytest.fixture(scope="module")
def plain(tiny: Any) -> Any:
    """A tokenizer that adds nothing and has an end token alone."""
    return tiny.byte_level(chat_template=tiny.chat)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("text", ["women", "", " ", "women\nare"])
def test_a_prompt_has_one_start_token(starting: Any, chat: bool, text: str) -> None:
    ids = Encoder(starting).prompt(Generate(text, "c", chat=chat))
    assert not isinstance(ids, Failure)
    assert ids.count(1) == 1
    assert ids[0] == 1


def test_a_template_that_writes_no_start_token_has_none_added(tiny: Any) -> None:
    # Whoever wrote the template knows what the model was trained with.
    tokenizer = tiny.byte_fallback(chat_template=TEMPLATE)
    ids = Encoder(tokenizer).prompt(Generate("women", "c", chat=True))
    assert not isinstance(ids, Failure)
    assert 1 not in ids
    assert tokenizer.decode(ids) == "[user] women"


def test_a_raw_prompt_is_what_the_tokenizer_makes_of_it(starting: Any, plain: Any) -> None:
    for tokenizer in (starting, plain):
        ids = Encoder(tokenizer).prompt(Generate("The women", "c"))
        assert ids == tuple(tokenizer("The women")["input_ids"])


def test_a_prompt_is_never_empty(starting: Any, plain: Any, tiny: Any) -> None:
    assert Encoder(starting).text("") == (1,)
    # The end token stands for "nothing yet" where there is no start token, and the first one where there is neither.
    assert Encoder(plain).text("") == (plain.eos_token_id,)
    assert Encoder(tiny.word_level()).text("") == (0,)


def test_a_chat_without_a_template_is_a_failure(tiny: Any) -> None:
    found = Encoder(tiny.byte_level()).prompt(Generate("The", "c", chat=True))
    assert found == Failure("the tokenizer has no chat template; ask with raw prompts")


@given(LETTERS, LETTERS)
def test_a_pair_has_one_start_token_and_nothing_is_lost(starting: Any, plain: Any, context: str, rest: str) -> None:
    for tokenizer in (starting, plain):
        encoder = Encoder(tokenizer)
        before, after = encoder.pair(Score(context, rest, "c"))
        assert before
        assert encoder.start not in after
        bare = tuple(tokenizer(context + rest, add_special_tokens=False)["input_ids"])
        assert tuple(token for token in before + after if token != encoder.start) == bare


def test_the_seam_is_where_the_context_ends(plain: Any) -> None:
    encoder = Encoder(plain)
    before, after = encoder.pair(Score("In most", " offices", "c"))
    assert (plain.decode(before), plain.decode(after)) == ("In most", " offices")
    # The space belongs to the word that it stands before, on whichever side it is written.
    assert encoder.pair(Score("In most ", "offices", "c")) == (before, after)
    before, after = encoder.pair(Score("", "offices", "c"))
    assert before == (plain.eos_token_id,)
    assert plain.decode(after) == "offices"


@given(LETTERS)
def test_the_own_tokens_of_a_text(starting: Any, bracketed: Any, plain: Any, text: str) -> None:
    for tokenizer, around in ((plain, 0), (starting, 1), (bracketed, 1)):  # an added end token is left out
        whole, (start, end) = Encoder(tokenizer).own(text)
        bare = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        if bare:
            assert whole[start:end] == bare
            assert len(whole) - (end - start) == around
        else:
            assert (start, end) == (0, 0)
            assert len(whole) >= 1


def test_a_start_token_that_the_text_writes_is_not_doubled(starting: Any) -> None:
    encoder = Encoder(starting)
    start = starting.bos_token_id
    assert encoder.text("<s>women") == tuple(starting("<s>women", add_special_tokens=False)["input_ids"])
    for request in (Score("<s>women", " are", "c"), Score("", "<s>women", "c")):
        before, after = encoder.pair(request)
        assert (before + after).count(start) == 1


def test_the_prompt_is_never_in_the_completion(tiny: Any) -> None:
    tokenizer = tiny.byte_fallback(chat_template="<s>" + TEMPLATE)
    folder = tiny.folder(tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2), tokenizer)
    engine = tiny.engine(folder)
    word = "zzqqzz"
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "ab"]
    sampling = Sampling(max_new_tokens=5, logit_bias=tuple((letter, 1e5) for letter in letters))
    asked = [
        Generate(prompt, "c", sampling, sample, chat=chat)
        for prompt in (word, f"{word} ", "", "ä", f"a\n{word}")
        for chat in (False, True)
        for sample in range(3)
    ]
    for number, found in engine.run(asked):
        assert isinstance(found, Completion)
        assert len(found.text) == 5
        assert set(found.text) <= set("ab")
        assert asked[number].prompt.strip() in found.prompt
        assert found.prompt.count("<s>") == 1


def test_an_end_token_that_the_tokenizer_adds_is_left_out(bracketed: Any) -> None:
    # A text that is continued has not ended, and a continuation is not scored on its end.
    encoder = Encoder(bracketed)
    end = bracketed.eos_token_id
    assert end not in encoder.text("women")
    before, after = encoder.pair(Score("women", " are", "c"))
    assert end not in before + after
    assert bracketed.decode(after).strip() == "are"
    assert encoder.text("women</s>")[-1] == end


def test_a_context_that_the_tokenizer_makes_nothing_of_is_empty(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(plain)
    whole = encoder.text("women")
    monkeypatch.setattr(encoder, "_ids", lambda text, special: () if text == "\u200b" else whole)
    assert encoder.pair(Score("\u200b", "women", "c")) == ((encoder.start,), whole)


def test_the_first_token_of_a_word_is_the_one_after_the_prompt(starting: Any, plain: Any) -> None:
    for tokenizer in (starting, plain):
        encoder = Encoder(tokenizer)
        expected = {encoder.pair(Score("In most", word, "c"))[1][0] for word in (" offices", " women")}
        assert encoder.first_tokens("In most", [" offices", " women", " offices"]) == expected
        assert encoder.first_tokens("In most", [""]) == set()


def test_a_turn_is_scored_behind_the_template(tiny: Any) -> None:
    tokenizer = tiny.byte_level(chat_template=tiny.chat)
    pair = Encoder(tokenizer).chat_pair(Score("Are men tall?", " yes", "c", chat=True))
    assert not isinstance(pair, Failure)
    before, after = pair
    assert tokenizer.decode(before) == f"{tiny.end}user: Are men tall?\nassistant:"
    assert tokenizer.decode(after) == " yes"


def test_a_turn_without_a_template_is_a_failure(tiny: Any) -> None:
    found = Encoder(tiny.byte_level()).chat_pair(Score("a", "b", "c", chat=True))
    assert found == Failure("the tokenizer has no chat template; ask with raw prompts")
