"""A model in memory: weights, tokenizer, device, data type."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.checkpoint import check_checkpoint, method_of, unpack
from llmaudit.engines.hf.files import hash_files, hash_weights, local_folder
from llmaudit.engines.hf.footprint import Stored, weigh
from llmaudit.engines.hf.quiet import quiet
from llmaudit.engines.hf.rounding import Rounding, round_weights
from llmaudit.engines.hf.tokenization import vocabulary_digest
from llmaudit.engines.models import resolve
from llmaudit.engines.quantization import BITSANDBYTES
from llmaudit.errors import ModelError
from llmaudit.types import Factor, ModelInfo

__all__ = [
    "DTYPES",
    "LoadedModel",
    "ReadModel",
    "context_length",
    "load_model",
    "load_tokenizer",
    "pick_device",
    "pick_dtypes",
    "read_model",
    "tokenizer_facts",
]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
#: What `--device` is mostly told.
_DEVICES = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps", "xpu")
#: How the names of causal architectures end; a multimodal model may carry a causal one.
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


@dataclass(slots=True)
class LoadedModel:
    """Weights and tokenizer, ready to be asked."""

    model: Any
    """What likelihoods are read from."""
    tokenizer: Any
    info: ModelInfo
    device: torch.device
    load_sampler: Callable[[], Any]
    """Gives the model that completions are drawn from: the same one, or a copy in a shorter data type."""
    exact: bool
    """Whether all products are made in float32, so that a batch moves the last digits only."""
    memory_key: str
    """Names model, data type and machine: what the batch that fits the memory depends on."""
    stored: Stored
    """What the weights take, as they lay in memory when they had just been read."""
    gguf: Path | None
    """The GGUF file whose tensors the weights stand for, unless they were asked for in another form."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """What a model folder holds, on its device."""

    model: Any
    tokenizer: Any
    config: Any
    dtype: torch.dtype
    drawn: torch.dtype
    """What completions are drawn in; shorter than `dtype` where the device multiplies faster then."""
    stored: Stored

    @property
    def context(self) -> int | None:
        """How many tokens a text may have; None where nothing tells."""
        return context_length(self.config.get_text_config())


def load_model(options: EngineOptions) -> LoadedModel:
    """Load what `options` names. Raises ModelError with what was tried and the way out."""
    source = resolve(options.model, options.aliases)
    device = pick_device(options.device)
    folder = local_folder(source, options.revision)
    read = read_model(folder, device, options)
    model, tokenizer, config, dtype, drawn = read.model, read.tokenizer, read.config, read.dtype, read.drawn

    def load_sampler() -> Any:
        with quiet():
            return model if drawn == dtype else unpack(_read_weights(folder, drawn, device, options.quantization))

    info = ModelInfo(
        name=options.model,
        resolved=Path(source.location).name if source.kind in {"folder", "gguf"} else source.location,
        engine="hf",
        revision=_revision(source.kind, folder, options.revision),
        sha256=hash_weights(source, folder),
        parameters=read.stored.parameters,
        dtype=str(dtype).removeprefix("torch."),
        quantization=options.quantization or method_of(config),
        device=str(device),
        tokenizer=vocabulary_digest(tokenizer),
        facts={
            **tokenizer_facts(tokenizer),
            **_model_facts(config),
            "files_sha256": hash_files(folder),
            "sampling_dtype": str(drawn).removeprefix("torch."),
        },
    )
    # Rounded weights are multiplied as any others.
    exact = dtype == torch.float32 and (info.quantization is None or _rounding(options) is not None)
    as_it_is = source.kind == "gguf" and options.dtype == "auto" and options.quantization is None
    file = Path(source.location) if as_it_is else None
    return LoadedModel(
        model, tokenizer, info, device, load_sampler, exact, _memory_key(info, device), read.stored, file
    )


def read_model(folder: Path, device: torch.device, options: EngineOptions) -> ReadModel:
    """Read weights and tokenizer of a model folder, in the form that `options` names. Raises ModelError."""
    with quiet():
        tokenizer = load_tokenizer(folder)
        config = _read_config(folder)
        check_checkpoint(folder, config, options.quantization)
        dtype, drawn = pick_dtypes(options, device, config)
        model = _read_weights(folder, dtype, device, options.quantization)
        # Now: some weights are laid out anew when they are unpacked, or first multiplied with.
        stored = weigh(model, _rounding(options))
        unpack(model)
    _check_vocabulary(folder, model, tokenizer)
    if getattr(model, "_is_stateful", False):
        raise ModelError(
            f"{folder}: {config.model_type} keeps a recurrent state in place of keys and values, which padded rows of a"
            " batch would change; llmaudit audits attention models"
        )
    return ReadModel(model, tokenizer, config, dtype, drawn, stored)


def _rounding(options: EngineOptions) -> Rounding | None:
    return Rounding.parse(options.quantization) if options.quantization else None


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a model folder. Raises ModelError."""
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"{folder}: the tokenizer does not load ({_first_line(error)})") from None


def tokenizer_facts(tokenizer: Any) -> dict[str, Factor]:
    """Facts of a tokenizer for the run and the report."""
    specials = {name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    return {
        "vocabulary_size": len(tokenizer),
        "special_tokens": len(tokenizer.all_special_tokens),
        "adds_start_token": int(tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]),
        "chat_template": int(bool(tokenizer.chat_template)),
        **specials,
    }


def pick_device(name: str) -> torch.device:
    """Return the device for `--device`; `auto` is the first accelerator, else the CPU. Raises ModelError."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator if accelerator is not None else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        close = difflib.get_close_matches(name, _DEVICES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ModelError(f"--device {name}: not a device; {hint}say auto, cpu, cuda, cuda:1, mps or xpu") from None
    present = device.type == "cpu" or (
        (accelerator := torch.accelerator.current_accelerator(check_available=True)) is not None
        and accelerator.type == device.type
        and (device.index or 0) < torch.accelerator.device_count()
    )
    if not present:
        raise ModelError(f"--device {name}: this machine has no such device; `llmaudit doctor` shows what it has")
    return device


def pick_dtypes(options: EngineOptions, device: torch.device, config: Any) -> tuple[torch.dtype, torch.dtype]:
    """Return the data types of likelihoods and of sampling."""
    name = options.dtype
    if name in DTYPES:
        return DTYPES[name], DTYPES[name]
    if name != "auto":
        raise ModelError(f"--dtype {name}: not a data type; say auto, {', '.join(DTYPES)}")
    if device.type == "cpu":
        # Likelihoods in bfloat16 move by up to 0.8 nats with the batch layout alone. Sampling in it pays with AMX
        # only: with AVX512-BF16 products of 64 rows were slower than in float32, by a third.
        fast = torch.cpu.get_capabilities().get("amx_bf16", False) and options.quantization is None
        return torch.float32, torch.bfloat16 if fast else torch.float32
    stored = getattr(config, "dtype", None)
    chosen = stored if isinstance(stored, torch.dtype) else torch.float32
    return chosen, chosen


def _read_config(folder: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: config.json does not load ({_first_line(error)})") from None
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{folder}: {config.model_type} is an encoder-decoder; llmaudit audits causal language models")
    heads = config.architectures or []
    if heads and not any(head.endswith(_CAUSAL) for head in heads):
        raise ModelError(f"{folder}: {heads[0]} is no causal language model, and llmaudit audits no other")
    return config


def _read_weights(folder: Path, dtype: torch.dtype, device: torch.device, quantization: str | None) -> Any:
    extra: dict[str, Any] = {}
    rounding = Rounding.parse(quantization) if quantization is not None else None
    if quantization is not None and rounding is None:
        extra = {"quantization_config": _quantizer(quantization, dtype), "device_map": {"": str(device)}}
    causal: Any = AutoModelForCausalLM
    try:
        model, told = causal.from_pretrained(
            folder,
            dtype=dtype,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **extra,
        )
        placed = model if extra else model.to(device)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder}: the model does not load ({_first_line(error)})") from None
    if missing := sorted(told["missing_keys"]):
        # transformers would fill them with random numbers.
        raise ModelError(f"{folder}: the weights lack {missing[0]} ({len(missing)} missing in all); fetch them again")
    if rounding is not None:
        round_weights(placed, rounding)
    return placed.eval()


def _quantizer(name: str, dtype: torch.dtype) -> Any:
    if name not in BITSANDBYTES:
        raise ModelError(f"--quantization {name}: not known; say {', '.join(BITSANDBYTES)} or rtn4")
    try:
        # On a stack of its own: what it catches and keeps while it is imported keeps the frames below it, and with
        # them the first model that was ever loaded by it.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(import_module, "bitsandbytes").result()
    except ImportError:
        raise ModelError(
            f"--quantization {name} needs bitsandbytes: python -m pip install 'llmaudit[quantization]'"
        ) from None
    quantizer: Any = transformers.BitsAndBytesConfig
    if name == "int8":
        # It would tell at every product that it casts to float16, which is how it works.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return quantizer(load_in_8bit=True)
    kind, _, double = name.partition("-")
    return quantizer(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=bool(double),
    )


def _check_vocabulary(folder: Path, model: Any, tokenizer: Any) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    # Tokens that were added later may have no embedding (Gemma 3's image token): a text that holds one is refused.
    if tokenizer.vocab_size > rows:
        raise ModelError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} tokens and the model {rows} embeddings: they do not"
            " belong together"
        )


def _model_facts(config: Any) -> dict[str, Factor]:
    text = config.get_text_config()
    names = {"hidden_size": "hidden_size", "num_hidden_layers": "layers"}
    found = {ours: value for theirs, ours in names.items() if (value := getattr(text, theirs, None)) is not None}
    context = context_length(text)
    return {"architecture": config.model_type, **({"context_length": context} if context else {}), **found}


def context_length(config: Any) -> int | None:
    """Return how many tokens a text may have.

    With some rotary embeddings the factors of a whole batch change as soon as its longest row passes a length: beyond
    it the answer to one text would depend on the others.
    """
    context = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") in {"longrope", "dynamic"}:
        switch = rope.get("original_max_position_embeddings") or getattr(
            config, "original_max_position_embeddings", None
        )
        return min(int(length) for length in (context, switch) if length)
    return int(context) if context else None


def _memory_key(info: ModelInfo, device: torch.device) -> str:
    parts = [info.sha256, info.dtype, info.facts["sampling_dtype"], info.quantization, platform.node(), str(device)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _revision(kind: str, folder: Path, asked: str | None) -> str | None:
    # The hub cache names a snapshot's folder by its commit.
    return folder.name if kind == "hub" else asked


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
