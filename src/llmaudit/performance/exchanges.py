"""One request to a served model as its client saw it, by the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Exchange"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was sent, when each piece of the answer came, and what it was. Times are seconds from the first moment of
    the repetition.

    Latency counts from `due`, not from `sent`: a request that had to wait for its turn in the client would otherwise
    hide the very delay that is to be measured (coordinated omission: Tene 2013, "How not to measure latency").
    """

    repetition: int
    """Which repetition of the load it belongs to, from 1."""
    number: int
    """Which request of the repetition it is, from 0, in the order in which they were due."""
    prompt: str
    due: float
    """When a user wanted to send it."""
    sent: float
    """When it was sent."""
    ended: float
    """When it was over, whichever way."""
    times: tuple[float, ...] = ()
    """When each piece of text came; pieces without any text are left out."""
    text: str = ""
    tokens: int = 0
    """Number of tokens of the answer, as far as it came."""
    counted: bool = False
    """Whether the server counted the tokens; else they are taken to be as many as there were pieces."""
    prompt_tokens: int | None = None
    """Number of tokens of the prompt; None where the server does not tell."""
    error: str | None = None
    """Why there is no whole answer."""

    @property
    def ttft(self) -> float:
        """Seconds to the first token (Agrawal et al. 2024, section 2.2); infinite where there was no whole answer."""
        return self.times[0] - self.due if self._whole else math.inf

    @property
    def e2e(self) -> float:
        """Seconds to the last token; infinite where there was no whole answer."""
        return self.times[-1] - self.due if self._whole else math.inf

    @property
    def tpot(self) -> float:
        """Seconds per token after the first, so that e2e = ttft + (tokens - 1) x tpot.

        Infinite where there was no whole answer; NaN where a single piece, or a single token, leaves nothing to time.
        """
        if not self._whole:
            return math.inf
        if len(self.times) < 2 or self.tokens < 2:
            return math.nan
        return (self.times[-1] - self.times[0]) / (self.tokens - 1)

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds between one piece of text and the next: inter-token latencies where each piece is a token."""
        return tuple(after - before for before, after in pairwise(self.times))

    @property
    def lag(self) -> float:
        """Seconds by which the client itself was late."""
        return self.sent - self.due

    @property
    def characters(self) -> int:
        """Characters of the answer."""
        return len(self.text)

    @property
    def bytes(self) -> int:
        """Bytes of the answer in UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))

    @property
    def _whole(self) -> bool:
        return self.error is None and bool(self.times)
