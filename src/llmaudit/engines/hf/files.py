"""Model folders on disk: found, checked, hashed, and converted from GGUF once."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from llmaudit.cachedir import cache_folder
from llmaudit.engines.models import Source
from llmaudit.errors import ModelError

__all__ = ["check_folder", "converted", "hash_files", "hash_weights", "local_folder"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "vocab.bpe")
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def local_folder(source: Source, revision: str | None = None, *, weights: bool = True) -> Path:
    """Return a folder that transformers can load, fetched from the hub or converted from GGUF where need be.

    With `weights` false a tokenizer is enough. Raises ModelError with the way out.
    """
    if source.kind == "hub":
        return _fetch(source.location, revision, weights=weights)
    folder = _convert(Path(source.location)) if source.kind == "gguf" else Path(source.location)
    check_folder(folder, weights=weights)
    return folder


def check_folder(folder: Path, *, weights: bool = True) -> None:
    """Raise ModelError where a folder lacks a configuration, a tokenizer or weights that are safe to load."""
    if not (folder / "config.json").is_file() and weights:
        raise ModelError(f"{folder}: not a model folder (there is no config.json)")
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder}: there is no tokenizer (none of {', '.join(_TOKENIZER_FILES)}); save it beside the weights with"
            " tokenizer.save_pretrained(folder)"
        )
    if weights and not any(folder.glob("*.safetensors")):
        if pickles := sorted(path.name for path in folder.glob("*.bin")) + sorted(p.name for p in folder.glob("*.pt*")):
            raise ModelError(
                f"{folder}: the weights are pickled only ({pickles[0]}); loading a pickle can run any code, so it is"
                " refused. Save them again with model.save_pretrained(folder), which writes safetensors"
            )
        raise ModelError(f"{folder}: there are no weights (no .safetensors file)")


def hash_weights(source: Source, folder: Path) -> str:
    """Return the SHA-256 of the weights: of the GGUF file itself, else over the folder's .safetensors files in order.

    A digest is remembered by path, size and time of change, since hashing takes longer than loading.
    """
    files = [Path(source.location)] if source.kind == "gguf" else sorted(folder.glob("*.safetensors"))
    stats = [(str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files]
    digest_length = hashlib.sha256().digest_size * 2
    memory = cache_folder() / "hashes" / f"{hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:32]}.txt"
    if memory.is_file() and len(remembered := memory.read_text(encoding="ascii")) == digest_length:
        return remembered
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 24):
                digest.update(block)
    with suppress(OSError):  # a cache that cannot be written costs time only
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(digest.hexdigest(), encoding="ascii")
    return digest.hexdigest()


def hash_files(folder: Path) -> str:
    """Return the SHA-256 of what stands beside the weights: configuration, tokenizer, chat template, end tokens."""
    digest = hashlib.sha256()
    for pattern in ("*.json", "*.jinja", "*.model", "*.txt", "*.bpe", "*.tiktoken", "additional_chat_templates/*"):
        for file in sorted(folder.glob(pattern)):
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _fetch(hub_id: str, revision: str | None, *, weights: bool) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - a second that local models do not need
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - likewise

    patterns = _HUB_FILES if weights else [pattern for pattern in _HUB_FILES if "safetensors" not in pattern]
    try:
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
    except HfHubHTTPError as error:
        raise ModelError(
            f"{hub_id}: the hub refused it ({str(error).splitlines()[0]}); check the name, and for a gated model accept"
            " its licence on the hub and set HF_TOKEN"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{hub_id}: not in the local hub cache, and the hub cannot be reached ({type(error).__name__}). Download it"
            f" where there is a network (hf download {hub_id}), or give the path of a model folder or .gguf file"
        ) from None
    check_folder(folder, weights=weights)
    return folder


def converted(file: Path) -> Path | None:
    """Return the folder that a GGUF file was converted into; None where it was not yet."""
    return target if (target := _conversion(file)).is_dir() else None


def _convert(file: Path) -> Path:
    """Dequantise a GGUF file to float32 safetensors in the cache, once per content."""
    if (found := converted(file)) is not None:
        return found
    target = _conversion(file)
    _check_gguf(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and moved there, so that another process never sees half a model.
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{file.stem}-"))
    try:
        _dequantise(file, scratch)
        scratch.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _conversion(file: Path) -> Path:
    return cache_folder() / "gguf" / f"{file.stem}-{_content_key(file)}"


def _content_key(file: Path) -> str:
    return hash_weights(Source("gguf", str(file)), file.parent)[:16]


def _check_gguf(file: Path) -> None:
    """Raise ModelError for a file that is no GGUF or ends before its last tensor does."""
    from gguf import GGUFReader  # noqa: PLC0415 - half a second that other models do not need

    try:
        tensors = GGUFReader(file).tensors
        end = max(int(tensor.data_offset) + int(tensor.n_bytes) for tensor in tensors)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise ModelError(f"{file}: not a readable GGUF file, or a truncated one ({error}); fetch it again") from None
    if file.stat().st_size < end:
        raise ModelError(f"{file}: truncated ({file.stat().st_size} of at least {end} bytes); fetch it again")


def _dequantise(file: Path, folder: Path) -> None:
    import torch  # noqa: PLC0415 - heavy, and not needed to resolve a name
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - likewise

    from llmaudit.engines.hf.quiet import quiet  # noqa: PLC0415 - imports transformers

    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(**place)
            model: Any = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
        except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
            raise ModelError(f"{file}: transformers cannot read this GGUF ({error})") from None
        # The tensors are plain float32 now; with its quantizer the model refuses to be saved.
        model.hf_quantizer = None
        del model.config.quantization_config
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
