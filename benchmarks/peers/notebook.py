"""Log-likelihoods as notebooks compute them: one sentence at a time, from the loss of a forward pass with labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.models import Peer

__all__ = ["loglikelihoods"]


@torch.no_grad()
def loglikelihoods(peer: Peer, sentences: Sequence[str]) -> list[float]:
    """Return the log-likelihood of each sentence after the start token, in nats."""
    found: list[float] = []
    for sentence in sentences:
        tokens = peer.tokenizer(sentence, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[peer.start, *tokens]], device=peer.model.device)
        # The loss is a mean over all tokens but the first.
        found.append(-float(peer.model(input_ids=ids, labels=ids).loss) * len(tokens))
    return found
