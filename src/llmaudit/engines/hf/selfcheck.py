"""Does this model decode in a batch as it does alone? Asked of every model before its completions are trusted."""

from __future__ import annotations

from typing import Any

import torch

from llmaudit.engines.hf.memory import is_out_of_memory
from llmaudit.engines.hf.prefill import prefill
from llmaudit.errors import EngineError, ModelError

__all__ = ["MISUSE", "NO_ROOM_TO_TRY", "check_decoding", "close_enough"]

NO_ROOM_TO_TRY = (
    "the memory ran out while the model was tried out; free some, or choose a smaller model or --device cpu"
)
#: What goes wrong inside a model that is called in a way its authors did not think of.
MISUSE = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
#: Largest and mean difference of log-probabilities, in nats, that arithmetic alone explains: in float32, and in less.
#: The probes are gibberish, on which a trained model differs from itself by up to 0.002 when a library splits its
#: products otherwise; a mask or a position that is wrong moves the mean by tenths.
_TOLERANCE = 0.05, 0.005
_LOW_PRECISION_TOLERANCE = 1.0, 0.1
#: Log-probabilities below this one are rounding and little else.
_LIKELY = -20.0
#: Prompts of unequal length, and what is read after them one token at a time.
_PROMPTS = ((5, 9, 2), (5, 3, *range(1, 24)), (5, 9, 4, 4, 1, 7))
_THEN = (4, 6, 3)


def check_decoding(model: Any, device: torch.device, context: int | None = None, *, exact: bool = True) -> bool:
    """Return whether rows may be decoded side by side: whether that gives the logits of a text read alone and at once.

    `exact` says that all products are made in float32: then a difference is an error of the architecture, and raises
    ModelError, as does one that cannot decode so at all. In less it may be the arithmetic, such as that of int8, which
    looks at all rows to scale each of them. Raises EngineError where the memory is too small to tell.
    """
    size = model.get_input_embeddings().weight.shape[0]
    room = None if context is None else max(1, context - len(_THEN))
    prompts = [tuple(token % size for token in prompt[:room]) for prompt in _PROMPTS]
    then = [token % size for token in _THEN]
    try:
        steps = _step_by_step(model, prompts, then, device)
        alone = [_alone(model, (*prompt, *then), len(then) + 1, device) for prompt in prompts]
    except MISUSE as error:
        if is_out_of_memory(error):
            raise EngineError(NO_ROOM_TO_TRY) from None
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{model.config.model_type}: this architecture does not decode with padded rows and keys and values"
            f" ({detail[:200]}); llmaudit cannot sample from it"
        ) from None
    agrees = all(close_enough(found, expected, exact=exact) for found, expected in zip(steps, alone, strict=True))
    if exact and not agrees:
        raise ModelError(
            f"{model.config.model_type}: this architecture decodes a batch of texts otherwise than each text alone;"
            " llmaudit would draw wrong samples from it"
        )
    return agrees


def close_enough(logits: torch.Tensor, reference: torch.Tensor, *, exact: bool) -> bool:
    """Whether logits (positions, vocabulary) give the same log-probabilities, as far as arithmetic can tell."""
    largest, mean = _TOLERANCE if exact else _LOW_PRECISION_TOLERANCE
    expected = reference.float().log_softmax(-1)
    # Written so that NaN, on either side, is not close.
    difference = (logits.float().log_softmax(-1) - expected)[~(expected <= _LIKELY)].abs()
    return bool(difference.max() <= largest) and bool(difference.mean() <= mean)


@torch.inference_mode()
def _alone(model: Any, ids: tuple[int, ...], last: int, device: torch.device) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([ids], device=device), use_cache=False).logits
    return logits[0, -last:]


@torch.inference_mode()
def _step_by_step(model: Any, prompts: list[tuple[int, ...]], then: list[int], device: torch.device) -> torch.Tensor:
    """Return the logits after each prompt and after each of the tokens that follow: (prompts, steps, vocabulary)."""
    kv, logits = prefill(model, prompts, device).rows(prompts)
    found = [logits]
    for token in then:
        kv.grow()
        out = model(
            input_ids=torch.full((len(prompts), 1), token, device=device),
            attention_mask=kv.mask,
            position_ids=kv.mask.sum(dim=1, keepdim=True) - 1,
            past_key_values=kv.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        found.append(out.logits[:, -1])
    return torch.stack(found, dim=1)
