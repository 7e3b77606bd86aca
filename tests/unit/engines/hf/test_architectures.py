"""Every architecture answers a batch as transformers answers one row at a time, or is refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from llmaudit.engines.hf.engine import HFEngine
from llmaudit.errors import ModelError
from llmaudit.types import Completion, Failure, Generate, Likelihood, NextToken, NextTokens, Request, Sampling, Score


@dataclass(frozen=True, slots=True)
class Shape:
    """A configuration, and the changes that take away what is special about it."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    without: dict[str, Any] = field(default_factory=dict)
    reach: int = 1000
    """Longest text that is answered: a longer one is refused by itself."""


#: Shorter than most of the prompts.
WINDOW = 8
WIDE = {"sliding_window": 500}
ALTERNATING = ["sliding_attention", "full_attention", "sliding_attention"]
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": WINDOW, "num_hidden_layers": 3}
CAPS = {"attn_logit_softcapping": 1.0, "final_logit_softcapping": 2.0}
#: Where the long factors take over: some prompts are longer, and others grow past it.
SWITCH = 24
FACTORS = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 3.0, 5.0, 8.0]}
LONG_ROPE = {"rope_type": "longrope", "rope_theta": 10000.0, **FACTORS}
T5 = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}

#: By the name that a refusal would use, and what is special about the variant.
ACCEPTED = {
    "llama": Shape("Llama"),
    "gemma2": Shape("Gemma2", GEMMA | {"attn_logit_softcapping": None, "final_logit_softcapping": None}, WIDE),
    "gemma2 with soft caps": Shape("Gemma2", GEMMA | CAPS, dict.fromkeys(CAPS)),
    "gemma3": Shape("Gemma3Text", GEMMA | {"layer_types": ALTERNATING}, WIDE),
    "qwen2": Shape("Qwen2"),
    "qwen2 with a window": Shape(
        "Qwen2", {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": ALTERNATING[:2]}, WIDE
    ),
    "qwen3": Shape("Qwen3", {"head_dim": 8}),
    "gpt2": Shape("GPT2"),
    "gpt_neox": Shape("GPTNeoX"),
    "opt": Shape("OPT", {"ffn_dim": 64, "init_std": 0.3}),
    "bloom": Shape("Bloom", {"max_position_embeddings": None}),
    "mistral": Shape("Mistral", {"sliding_window": WINDOW}, WIDE),
    "phi3": Shape("Phi3"),
    "phi3 with a window": Shape("Phi3", {"sliding_window": WINDOW}, WIDE),
    "phi3 with longrope": Shape(
        "Phi3",
        {"rope_parameters": LONG_ROPE, "original_max_position_embeddings": SWITCH},
        {"original_max_position_embeddings": 500},
        reach=SWITCH,
    ),
}
#: These may be refused by name, but their answers may not depend on the batch.
DOUBTFUL = {
    "mamba": Shape("Mamba", {"state_size": 4, "max_position_embeddings": None}),
}
CAUSAL = {**ACCEPTED, **DOUBTFUL}
ENCODER_DECODERS = {"t5": Shape("T5", T5), "bart": Shape("Bart", BART)}

END = "<|endoftext|>"
#: One letter, one token: a text tells which tokens it is made of.
LETTERS = [chr(code) for code in range(ord("!"), ord("~") + 1)]
#: Several tokens end a text, so that rows leave at all times.
ENDS = [0, 1, 2, 3]
START = 0
LENGTHS = (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 22, 24, 25, 28, 31, 34, 37, 40)
#: With every prompt, more rows than a batch holds.
LIMITS = (1, 2, 4, 7, 12, 20)


def letters(tokens: list[int]) -> str:
    return "".join(LETTERS[token - 1] for token in tokens)


def drawn(length: int, seed: int) -> list[int]:
    """Draw the tokens of a text, none of which ends it."""
    generator = torch.Generator().manual_seed(seed)
    tokens: list[int] = torch.randint(len(ENDS), len(LETTERS) + 1, (length,), generator=generator).tolist()
    return tokens


PROMPTS = [drawn(length, seed) for seed, length in enumerate(LENGTHS)]


def tokenizer() -> Any:
    vocabulary = {piece: number for number, piece in enumerate([END, *LETTERS])}
    bare = Tokenizer(models.BPE(vocabulary, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    wrapper: Any = transformers.PreTrainedTokenizerFast
    return wrapper(tokenizer_object=bare, eos_token=END)


def logprobs(model: Any, tokens: list[int]) -> torch.Tensor:
    """Give the log-probabilities after every token of a text alone: (length, vocabulary), float32."""
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([tokens])).logits[0]
    return logits.float().log_softmax(dim=-1)


class Case:
    """A model on disk, asked through the engine and row by row."""

    def __init__(self, tiny: Any, shape: Shape) -> None:
        self._tiny = tiny
        self.reach = shape.reach
        # A random model with tied weights does nothing but repeat its last token.
        common = {"vocab_size": len(LETTERS) + 1, "eos_token_id": ENDS, "tie_word_embeddings": False}
        config = tiny.config(shape.name, **{**common, **shape.changes})
        auto: Any = transformers.AutoModelForCausalLM
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = auto.from_config(config)
            for weights in model.parameters():
                if weights.dim() == 1:  # biases and norms, which start as zeros and ones
                    weights.data += 0.3 * torch.randn_like(weights)
        self.folder: Path = tiny.folder(model, tokenizer())

    @cached_property
    def engine(self) -> HFEngine:
        found: HFEngine = self._tiny.engine(self.folder)
        return found

    def refusal(self) -> str:
        """Say why the engine does not load the model; empty where it does."""
        try:
            _ = self.engine
        except ModelError as error:
            return str(error)
        return ""

    @cached_property
    def model(self) -> Any:
        return self._tiny.reference(self.folder)

    @cached_property
    def continuations(self) -> list[list[int]]:
        """What transformers generates greedily after each prompt alone, an end token included."""
        return [self._generate(prompt) for prompt in PROMPTS]

    def _generate(self, prompt: list[int]) -> list[int]:
        ids = torch.tensor([prompt])
        mask = torch.ones_like(ids)
        settings = {"do_sample": False, "max_new_tokens": max(LIMITS), "pad_token_id": 0}
        found: list[int] = self.model.generate(ids, attention_mask=mask, **settings)[0, len(prompt) :].tolist()
        return found

    def ask(self, requests: list[Request]) -> list[Any]:
        found = dict(self.engine.run(requests))
        assert sorted(found) == list(range(len(requests)))
        return [found[number] for number in range(len(requests))]


@pytest.fixture(scope="module")
def cases(tiny: Any) -> Callable[[str], Case]:
    made: dict[str, Case] = {}

    def case(name: str) -> Case:
        if name not in made:
            made[name] = Case(tiny, CAUSAL[name])
        return made[name]

    return case


def greedy_requests() -> list[Request]:
    return [
        Generate(letters(prompt), "c", Sampling(temperature=0, max_new_tokens=limit))
        for prompt in PROMPTS
        for limit in LIMITS
    ]


def sampled_requests() -> list[Request]:
    return [
        Generate(letters(prompt), "c", Sampling(temperature=0.8, top_p=0.9, max_new_tokens=3 + number % 11), sample)
        for number, prompt in enumerate(PROMPTS)
        for sample in range(1 + number % 2)
    ]


def scored_pairs(case: Case) -> list[tuple[list[int], list[int]]]:
    """Pairs that share much, little or nothing, or have no context, and some that the model itself would write."""
    long = PROMPTS[-1]
    shared = [(long[:cut], drawn(length, cut + length)) for cut in (3, 30, 37, 40) for length in (1, 4, 12)]
    forks = [(long[:30] + drawn(5, seed), drawn(2, seed)) for seed in (7, 8)]
    alone = [(prompt, drawn(1 + number % 9, number)) for number, prompt in enumerate(PROMPTS[::4])]
    empty: list[tuple[list[int], list[int]]] = [([], drawn(length, length)) for length in (1, 6, 40)]
    own = [(prompt, written[:1]) for prompt, written in zip(PROMPTS, case.continuations, strict=True)]
    own = [pair for pair in own if pair[1][0] != START][:4]
    return shared + forks + alone + empty + own


def greedy_texts_are_what_transformers_generates(case: Case) -> None:
    found = iter(case.ask(greedy_requests()))
    for prompt, written in zip(PROMPTS, case.continuations, strict=True):
        for limit in LIMITS:
            tokens = written[:limit]
            completion = next(found)
            if len(prompt) + limit > case.reach:
                assert isinstance(completion, Failure)
                continue
            assert isinstance(completion, Completion)
            ended = tokens[-1] in ENDS
            assert completion.text == letters(tokens[:-1] if ended else tokens)
            assert (completion.tokens, completion.finish) == (len(tokens), "stop" if ended else "length")


def samples_do_not_depend_on_their_company(case: Case) -> None:
    requests = sampled_requests()
    alone = [case.ask([request])[0] for request in requests]
    made = [completion for completion in alone if isinstance(completion, Completion)]
    assert len({completion.text for completion in made}) > len(made) / 2
    assert case.ask(requests) == alone
    crowd = requests + greedy_requests()
    order: list[int] = torch.randperm(len(crowd), generator=torch.Generator().manual_seed(1)).tolist()
    found = dict(zip(order, case.ask([crowd[number] for number in order]), strict=True))
    assert [found[number] for number in range(len(requests))] == alone


def likelihoods_are_those_of_a_single_row(case: Case) -> None:
    pairs = scored_pairs(case)
    found = case.ask([Score(letters(context), letters(continuation), "c") for context, continuation in pairs])
    for (context, continuation), likelihood in zip(pairs, found, strict=True):
        start = context or [START]
        rows = logprobs(case.model, start + continuation)[len(start) - 1 : -1]
        expected = float(rows.gather(1, torch.tensor(continuation)[:, None]).sum())
        if len(start) + len(continuation) > case.reach:
            assert isinstance(likelihood, Failure)
            continue
        assert isinstance(likelihood, Likelihood)
        assert likelihood.logprob == pytest.approx(expected, abs=1e-4, rel=0)
        assert likelihood.tokens == len(continuation)
        assert likelihood.greedy == (rows.argmax(dim=1).tolist() == continuation)


def next_tokens_are_those_of_a_single_row(case: Case) -> None:
    found = case.ask([NextToken(letters(prompt), "c", top=1 + number) for number, prompt in enumerate(PROMPTS)])
    for number, (prompt, distribution) in enumerate(zip(PROMPTS, found, strict=True)):
        expected = logprobs(case.model, prompt)[-1]
        best = expected.topk(1 + number)
        if len(prompt) > case.reach:
            assert isinstance(distribution, Failure)
            continue
        assert isinstance(distribution, NextTokens)
        assert [token for token, _ in distribution.top] == [[END, *LETTERS][token] for token in best.indices.tolist()]
        assert [value for _, value in distribution.top] == pytest.approx(best.values.tolist(), abs=1e-4, rel=0)
        assert distribution.entropy == pytest.approx(float(-(expected.exp() * expected).sum()), abs=1e-4, rel=0)


CHECKS = (
    greedy_texts_are_what_transformers_generates,
    samples_do_not_depend_on_their_company,
    likelihoods_are_those_of_a_single_row,
    next_tokens_are_those_of_a_single_row,
)
every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@every_check
@pytest.mark.parametrize("name", ACCEPTED)
def test_an_accepted_architecture(cases: Any, name: str, check: Callable[[Case], None]) -> None:
    check(cases(name))


@every_check
@pytest.mark.parametrize("name", DOUBTFUL)
def test_an_architecture_that_is_right_or_refused_by_name(cases: Any, name: str, check: Callable[[Case], None]) -> None:
    case = cases(name)
    if refusal := case.refusal():
        architecture, *_ = name.split()
        assert re.fullmatch(rf".*\b{architecture}\b.{{10,}}", refusal)  # one line, with a reason
    else:
        check(case)


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_an_encoder_decoder_is_refused_by_name(tiny: Any, name: str) -> None:
    shape = ENCODER_DECODERS[name]
    config = getattr(transformers, f"{shape.name}Config")(vocab_size=len(LETTERS) + 1, **shape.changes)
    model = getattr(transformers, f"{shape.name}ForConditionalGeneration")(config)
    folder = tiny.folder(model, tokenizer())
    with pytest.raises(ModelError, match=rf"\A.*: {name} is an encoder-decoder.*\Z"):
        tiny.engine(folder)


@pytest.mark.parametrize("name", [name for name, shape in CAUSAL.items() if shape.without])
def test_what_is_special_about_a_configuration_shows(cases: Any, name: str) -> None:
    # Otherwise the tests above would pass without it.
    case = cases(name)
    auto: Any = transformers.AutoModelForCausalLM
    without = auto.from_pretrained(case.folder, **CAUSAL[name].without).eval()
    difference = logprobs(without, PROMPTS[-1]) - logprobs(case.model, PROMPTS[-1])
    assert float(difference[-1].abs().max()) > 0.1
