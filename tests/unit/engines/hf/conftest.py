"""Tiny random models with a tiny trained tokenizer: real transformers folders that load in milliseconds."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.quiet import quiet

END = "<|endoftext|>"
CORPUS = (
    "In most offices, women are known for their work and men are known for theirs.",
    "The teacher said that the students in the room had read the book twice.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "When the shift ended, the older adults on the crew went home; the young people stayed.",
)
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


class Tiny:
    """Makes models and tokenizers, and folders of them; tests say what is special about theirs."""

    end = END
    vocabulary = 300
    context = 96
    chat = (
        "{% for m in messages %}<|endoftext|>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    sentences = CORPUS

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory

    def byte_level(self, *, unknown: str | None = END, **settings: Any) -> Any:
        """Train a byte-level BPE like GPT-2's, whose unknown token is its end token, or which has none."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(CORPUS, trainer)
        specials = {"eos_token": END} | ({"unk_token": unknown} if unknown else {})
        wrapper: Any = transformers.PreTrainedTokenizerFast
        return wrapper(tokenizer_object=tokenizer, **specials, **settings)

    def byte_fallback(self, **settings: Any) -> Any:
        """Build a BPE of characters with Metaspace and byte fallback, like SentencePiece's of Llama 2 and Gemma."""
        pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        pieces += ["▁", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,éäöüß"]
        specials = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token=specials["unk_token"]))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        tokenizer.decoder = decoders.Sequence(steps)
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 1)])
        wrapper: Any = transformers.PreTrainedTokenizerFast
        return wrapper(tokenizer_object=tokenizer, **specials, **settings)

    def word_level(self) -> Any:
        """Build a tokenizer of whole words that knows few of them."""
        vocabulary = {"[UNK]": 0, "the": 1, "cat": 2, "sleeps": 3}
        unknown = next(iter(vocabulary))
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        wrapper: Any = transformers.PreTrainedTokenizerFast
        return wrapper(tokenizer_object=tokenizer, unk_token=unknown)

    def config(self, name: str = "Llama", **changes: Any) -> Any:
        """Return the configuration of a tiny causal model."""
        known = {
            **SHAPE,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.context,
            # Larger than usual, so that the next token is neither certain nor a coin toss.
            "initializer_range": 0.3,
            "bos_token_id": None,
            "eos_token_id": 0,
            "pad_token_id": None,
        }
        if name == "GPT2":
            names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
            names |= {"max_position_embeddings": "n_positions", "intermediate_size": "n_inner"}
            known = {names.get(key, key): value for key, value in known.items() if key != "num_key_value_heads"}
        return getattr(transformers, f"{name}Config")(**{**known, **changes})

    def folder(self, model: Any = None, tokenizer: Any = None) -> Path:
        """Save a model (or a model of this configuration) and a tokenizer."""
        folder = self._factory.mktemp("model")
        config = self.config() if model is None else model
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(1)
            if isinstance(config, transformers.PretrainedConfig):
                auto: Any = transformers.AutoModelForCausalLM
                model = auto.from_config(config)
            model.save_pretrained(folder)
        (tokenizer or self.byte_level()).save_pretrained(folder)
        return folder

    def engine(self, folder: Path, **options: Any) -> HFEngine:
        """Load a folder as a user does."""
        return HFEngine(EngineOptions(str(folder), **{"device": "cpu", **options}))

    def reference(self, folder: Path) -> Any:
        """Load the same model by transformers alone."""
        with quiet():
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model.eval()


class Watched:
    """Passes calls on to a model, remembers their inputs, and fails where `refuse` gives an error for them."""

    def __init__(self, model: Any, refuse: Callable[[dict[str, Any]], BaseException | None] | None = None) -> None:
        self.model = model
        self.refuse = refuse
        self.inputs: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *ids: torch.Tensor, **inputs: Any) -> Any:
        named = {"input_ids": ids[0], **inputs} if ids else inputs
        if self.refuse is not None and (error := self.refuse(named)) is not None:
            raise error
        self.inputs.append(named)
        return self.model(**named)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """(rows, columns) of every call that was answered."""
        return [tuple(inputs["input_ids"].shape) for inputs in self.inputs]


@pytest.fixture
def quick_release() -> Iterator[None]:
    """Every time that memory runs out garbage is collected, which takes long among all that pytest has imported."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def watched() -> type[Watched]:
    return Watched


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny(tmp_path_factory)


@pytest.fixture(scope="session")
def llama_folder(tiny: Tiny) -> Path:
    return tiny.folder()


@pytest.fixture(scope="session")
def gpt2_folder(tiny: Tiny) -> Path:
    return tiny.folder(tiny.config("GPT2"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep hashes and conversions out of the user's cache."""
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose more time to threads than they win."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", autouse=True)
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same for engines that live as long as the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMAUDIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def llama(tiny: Tiny, llama_folder: Path) -> HFEngine:
    return tiny.engine(llama_folder)


@pytest.fixture(scope="session")
def gpt2(tiny: Tiny, gpt2_folder: Path) -> HFEngine:
    return tiny.engine(gpt2_folder)
