"""The two engines of transformers as an audit sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.build import build_engine, build_tokenizer
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.tokenizer_engine import TokenizerEngine
from llmaudit.types import (
    Attend,
    Completion,
    Embed,
    Failure,
    Generate,
    Likelihood,
    NextToken,
    NextTokens,
    Request,
    Sampling,
    Score,
    Tokenize,
    Tokens,
)

SHORT = Sampling(temperature=0, max_new_tokens=4)
MIXED: list[Request] = [
    Generate("The", "c", SHORT),
    Tokenize("women", "c"),
    Score("The", " women", "c"),
    NextToken("The", "c"),
    Generate("men are", "c", SHORT),
    Score("", "men", "c"),
]


def test_every_type_of_request_in_one_call(llama: HFEngine) -> None:
    found = dict(llama.run(MIXED))
    kinds = [type(found[number]) for number in range(len(MIXED))]
    assert kinds == [Completion, Tokens, Likelihood, NextTokens, Completion, Likelihood]


def test_a_response_does_not_depend_on_the_other_requests(llama: HFEngine) -> None:
    together = dict(llama.run(MIXED))
    for number, request in enumerate(MIXED):
        ((_, alone),) = llama.run([request])
        whole = together[number]
        if isinstance(alone, Likelihood) and isinstance(whole, Likelihood):
            assert alone.logprob == pytest.approx(whole.logprob, abs=1e-4)
        elif isinstance(alone, NextTokens) and isinstance(whole, NextTokens):
            assert [token for token, _ in alone.top] == [token for token, _ in whole.top]
        else:
            assert alone == whole


def test_they_are_engines(llama: HFEngine, llama_folder: Path) -> None:
    tokenizer = TokenizerEngine(EngineOptions(str(llama_folder)))
    assert isinstance(llama, Engine)
    assert isinstance(tokenizer, Engine)
    assert llama.capabilities == {Generate, Score, NextToken, Tokenize, Embed, Attend}
    assert tokenizer.capabilities == {Tokenize}


def test_a_tokenizer_alone_reads_no_weights_and_answers_nothing_else(tiny: Any) -> None:
    folder = tiny.folder()
    (folder / "model.safetensors").unlink()
    engine = build_tokenizer(EngineOptions(str(folder)))
    cut, refused = (response for _, response in engine.run([Tokenize("women", "c"), Generate("The", "c")]))
    assert isinstance(cut, Tokens)
    assert refused == Failure("a tokenizer alone does not answer Generate")
    assert (engine.info.engine, engine.info.resolved) == ("tokenizer", folder.name)
    assert engine.info.facts["vocabulary_size"] == tiny.vocabulary
    engine.close()


def test_a_tokenizer_alone_needs_no_configuration(tiny: Any) -> None:
    folder = tiny.folder()
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        (folder / name).unlink()
    ((_, cut),) = build_engine(EngineOptions(str(folder), engine="tokenizer")).run([Tokenize("women", "c")])
    assert isinstance(cut, Tokens)
    assert cut.decoded == "women"


def test_a_chat_goes_through_the_template_of_the_model(tiny: Any) -> None:
    folder = tiny.folder(tokenizer=tiny.byte_level(chat_template=tiny.chat))
    ((_, found),) = tiny.engine(folder).run([Generate("The women?", "c", SHORT, chat=True)])
    assert isinstance(found, Completion)
    assert found.prompt == "<|endoftext|>user: The women?\nassistant:"


def test_a_start_token_that_the_template_writes_is_not_doubled(tiny: Any) -> None:
    template = "<s>{% for m in messages %}{{ m['content'] }}{% endfor %}"
    tokenizer = tiny.byte_fallback(chat_template=template)
    folder = tiny.folder(tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2), tokenizer)
    chat, raw = (
        response
        for _, response in tiny.engine(folder).run([Generate("women", "c", SHORT, chat=c) for c in (True, False)])
    )
    assert isinstance(chat, Completion)
    assert isinstance(raw, Completion)
    assert chat.prompt.count("<s>") == raw.prompt.count("<s>") == 1


def test_a_chat_without_a_template_is_a_failure_of_that_request_alone(llama: HFEngine) -> None:
    asked: list[Request] = [Generate("The", "c", SHORT, chat=True), Generate("The", "c", SHORT)]
    found = dict(llama.run(asked))
    assert found[0] == Failure("the tokenizer has no chat template; ask with raw prompts")
    assert isinstance(found[1], Completion)


def test_scores_and_prompts_that_are_too_long_are_failures(llama: HFEngine, tiny: Any) -> None:
    long = "women are known " * 40
    asked: list[Request] = [
        Score(long, " men", "c"),
        Score("The", long, "c"),
        NextToken(long, "c"),
        Score("a", "b", "c"),
    ]
    *refused, good = (dict(llama.run(asked))[number] for number in range(4))
    for response in refused:
        assert isinstance(response, Failure)
        assert response.error.endswith(f"tokens are more than the model's context of {tiny.context}")
    assert isinstance(good, Likelihood)


def test_the_space_before_the_first_word_is_kept(tiny: Any) -> None:
    # SentencePiece drops it from a text that is decoded on its own.
    tokenizer = tiny.byte_fallback()
    folder = tiny.folder(tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2), tokenizer)
    space = tokenizer.convert_tokens_to_ids("▁")
    sampling = Sampling(temperature=0, max_new_tokens=1, logit_bias=((space, 1e4),))
    ((_, found),) = tiny.engine(folder).run([Generate("women", "c", sampling)])
    assert isinstance(found, Completion)
    assert found.text == " "


def test_the_answer_is_what_the_model_wrote_even_where_the_tokenizer_tidies(tiny: Any) -> None:
    # Tidying would turn " ." into "." and move the seam between prompt and answer.
    folder = tiny.folder(tokenizer=tiny.byte_level(clean_up_tokenization_spaces=True))
    tokenizer = tiny.byte_level()
    space, dot = tokenizer.convert_tokens_to_ids(["Ġ", "."])
    engine = tiny.engine(folder)
    sampling = Sampling(temperature=0, max_new_tokens=1, logit_bias=((dot, 1e4),))
    ((_, found),) = engine.run([Generate("the women ", "c", sampling)])
    assert tokenizer("the women ")["input_ids"][-1] == space
    assert isinstance(found, Completion)
    assert (found.prompt, found.text) == ("the women ", ".")


def test_a_closed_engine_gives_its_weights_back(tiny: Any, llama_folder: Path) -> None:
    engine = tiny.engine(llama_folder)
    engine.close()
    with pytest.raises(AttributeError):
        list(engine.run([Generate("The", "c", SHORT)]))


def test_tokens_that_the_model_lacks_are_failures(tiny: Any, llama: HFEngine) -> None:
    size = tiny.vocabulary
    found = dict(llama.run([Generate("The", "c", Sampling(logit_bias=((size, 1.0),))), Generate("The", "c", SHORT)]))
    assert found[0] == Failure(f"token {size}: the model knows tokens 0 to {size - 1}")
    assert isinstance(found[1], Completion)


def test_a_token_without_an_embedding_is_a_failure_of_the_text_that_holds_it(tiny: Any) -> None:
    # Gemma 3's tokenizer knows an image token that its text models lack.
    tokenizer = tiny.byte_level()
    assert len(tokenizer) == tiny.vocabulary
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    engine = tiny.engine(tiny.folder(None, tokenizer))
    found = dict(engine.run([Score("", "women", "c"), Score("", "women <image>", "c")]))
    assert isinstance(found[0], Likelihood)
    assert found[1] == Failure(f"token {tiny.vocabulary}: the model knows tokens 0 to {tiny.vocabulary - 1}")


def test_likelihoods_do_not_depend_on_what_was_generated_before(tiny: Any, llama_folder: Path) -> None:
    asked: list[Request] = [Score("", "women are known for their work", "c")]
    fresh, used = tiny.engine(llama_folder, batch_size=6), tiny.engine(llama_folder, batch_size=6)
    list(used.run([Generate("The", "c", SHORT, sample) for sample in range(6)]))
    assert not [module for module in used._loaded.model.modules() if "forward" in vars(module)]
    assert dict(used.run(asked)) == dict(fresh.run(asked))


def test_a_stop_string_with_a_space_is_seen_in_the_first_word(tiny: Any) -> None:
    # SentencePiece drops the space before a first word that is decoded alone.
    tokenizer = tiny.byte_fallback()
    config = tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2)
    engine = tiny.engine(tiny.folder(config, tokenizer))
    space = tokenizer.convert_tokens_to_ids("\u2581")
    sampling = Sampling(temperature=0, max_new_tokens=9, stop=(" ",), logit_bias=((space, 100.0),))
    ((_, found),) = engine.run([Generate("women", "c", sampling)])
    assert isinstance(found, Completion)
    assert (found.text, found.tokens, found.finish) == ("", 1, "stop")
