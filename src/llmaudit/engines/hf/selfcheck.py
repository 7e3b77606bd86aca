"""Does this model decode in a batch as it does alone? Asked of every model before its completions are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.memory import is_out_of_memory
from llmaudit.engines.hf.prefill import prefill
from llmaudit.errors import EngineError, ModelError

__all__ = ["MISUSE", "NO_ROOM_TO_TRY", "PROBE_TEXTS", "Trial", "check_decoding"]

NO_ROOM_TO_TRY = (
    "the memory ran out while the model was tried out; free some, or choose a smaller model or --device cpu"
)
#: What goes wrong inside a model that is called in a way its authors did not think of.
MISUSE = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
#: Largest and mean difference of log-probabilities, in nats, that arithmetic in float32 explains. The probes are
#: gibberish, on which a trained model differs from itself by up to 0.002 when a library splits its products otherwise;
#: a mask or a position that is wrong moves the mean by tenths.
_TOLERANCE = 0.05, 0.005
#: Mean divergence between a text in company and alone, as a share of that between one position of it and the next, up
#: to which it is arithmetic in less than float32. On SmolLM2 it is 1e-6 in float16, 1e-4 in bfloat16 and 0.003 in
#: int8, which looks at all rows to scale each of them; without the mask it is 0.035 in all of them.
_MOVED = 0.01
#: What is read to tell in less than float32: on gibberish a trained model is chaotic, and rounding moves it as far as a
#: mistake does. Some begin alike, their lengths differ, and together they are longer than a packed row is wide.
PROBE_TEXTS = (
    "The committee met on Tuesday.",
    "The committee met on Tuesday to discuss the budget for the coming year, and nobody had read it.",
    "It rained.",
    "It rained all night, and in the morning the river stood a foot above the lower bridge.",
    "She opened the letter and read it twice before she said a word to her brother, who stood at the window and"
    " watched the boats come in.",
    "Water boils at a lower temperature in the mountains.",
)
#: Log-probabilities below this one are rounding and little else.
_LIKELY = -20.0
#: What stands for a log-probability of minus infinity.
_IMPOSSIBLE = -1e4
#: Prompts of unequal length, and what is read after them one token at a time.
_PROMPTS = ((5, 9, 2), (5, 3, *range(1, 24)), (5, 9, 4, 4, 1, 7))
_THEN = (4, 6, 3)


class Trial:
    """How a model is tried out: on what, and how far it may differ from itself.

    `exact` says that all products are made in float32: then a difference is an error of the architecture. In less it
    may be the arithmetic, which is told from an error by `texts`, the model's own tokens of PROBE_TEXTS.
    """

    def __init__(self, *, exact: bool = True, texts: Sequence[Ids] = ()) -> None:
        self.exact = exact
        self.company = 0.0
        """Largest mean divergence, in nats, between a text in company and alone that was seen and let pass."""
        self._texts = [text for text in texts if len(text) > len(_THEN)]

    def inexact(self) -> Trial:
        """The trial of a copy of the model in a shorter data type."""
        return Trial(exact=False, texts=self._texts)

    def probes(self, usual: Sequence[Ids]) -> Sequence[Ids]:
        """What to read: `usual`, unless arithmetic needs sense."""
        return usual if self.exact or not self._texts else self._texts

    def agree(self, found: Iterable[torch.Tensor], expected: Iterable[torch.Tensor]) -> bool:
        """Whether logits, pairs of shape (positions, vocabulary), are the same as far as arithmetic can tell."""
        pairs = list(zip(found, expected, strict=True))
        if self.exact:
            return all(_close(*pair) for pair in pairs)
        moved = torch.cat([_divergence(alone, together) for together, alone in pairs]).mean().item()
        steps = [_divergence(alone, alone.roll(1, 0)) for _, alone in pairs if len(alone) > 1]
        usual = torch.cat(steps).mean().item() if steps else 0.0
        # Written so that NaN is not close.
        if moved <= _MOVED * usual:
            self.company = max(self.company, moved)
            return True
        return False


def check_decoding(model: Any, device: torch.device, context: int | None = None, trial: Trial | None = None) -> bool:
    """Return whether rows may be decoded side by side: whether that gives the logits of a text read alone and at once.

    Where all products are exact a difference is an error of the architecture and raises ModelError, as does one that
    cannot decode so at all. Raises EngineError where the memory is too small to tell.
    """
    trial = trial or Trial()
    size = model.get_input_embeddings().weight.shape[0]
    room = None if context is None else max(1, context - len(_THEN))
    read = [tuple(token % size for token in probe) for probe in trial.probes([(*each, *_THEN) for each in _PROMPTS])]
    prompts, then = [ids[: -len(_THEN)][:room] for ids in read], [ids[-len(_THEN) :] for ids in read]
    try:
        steps = _step_by_step(model, prompts, then, device)
        pairs = zip(prompts, then, strict=True)
        alone = [_alone(model, (*prompt, *rest), len(_THEN) + 1, device) for prompt, rest in pairs]
    except MISUSE as error:
        if is_out_of_memory(error):
            raise EngineError(NO_ROOM_TO_TRY) from None
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{model.config.model_type}: this architecture does not decode with padded rows and keys and values"
            f" ({detail[:200]}); llmaudit cannot sample from it"
        ) from None
    agrees = trial.agree(steps, alone)
    if trial.exact and not agrees:
        raise ModelError(
            f"{model.config.model_type}: this architecture decodes a batch of texts otherwise than each text alone;"
            " llmaudit would draw wrong samples from it"
        )
    return agrees


def _close(logits: torch.Tensor, reference: torch.Tensor) -> bool:
    """Whether logits give the same log-probabilities, as far as float32 can tell."""
    largest, mean = _TOLERANCE
    expected = reference.float().log_softmax(-1)
    # Written so that NaN, on either side, is not close.
    difference = (logits.float().log_softmax(-1) - expected)[~(expected <= _LIKELY)].abs()
    return bool(difference.max() <= largest) and bool(difference.mean() <= mean)


def _divergence(reference: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """KL(reference||logits) of every position, in nats."""
    # Some models forbid tokens by a logit of minus infinity: nothing lies between two that agree on it.
    p, q = (each.float().log_softmax(-1).clamp_min(_IMPOSSIBLE) for each in (reference, logits))
    return (p.exp() * (p - q)).sum(-1)


@torch.inference_mode()
def _alone(model: Any, ids: tuple[int, ...], last: int, device: torch.device) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor([ids], device=device), use_cache=False).logits
    return logits[0, -last:]


@torch.inference_mode()
def _step_by_step(model: Any, prompts: Sequence[Ids], then: Sequence[Ids], device: torch.device) -> torch.Tensor:
    """Return the logits after each prompt and each of the tokens that follow it: (prompts, steps, vocabulary)."""
    kv, logits = prefill(model, prompts, device).rows(prompts)
    found = [logits]
    for tokens in zip(*then, strict=True):
        kv.grow()
        out = model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            attention_mask=kv.mask,
            position_ids=kv.mask.sum(dim=1, keepdim=True) - 1,
            past_key_values=kv.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        found.append(out.logits[:, -1])
    return torch.stack(found, dim=1)
