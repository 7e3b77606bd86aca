"""Counter-based noise: the same (row key, step, token) gives the same number on every device and in every batch.

Sampling is an exponential race: with E_i independent and exponential, argmax_i p_i / E_i has distribution p (Efraimidis
and Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97, 2006; equal to the
Gumbel-max trick of Gumbel 1954). Each E_i comes from a hash, so a draw depends on nothing but its own key: neither on
the other rows of a batch nor on how many numbers were drawn before.
"""

from __future__ import annotations

import hashlib

import torch

__all__ = ["RowKey", "exponential_race", "exponential_scores", "row_key"]

#: Two 32-bit halves of a row's key, as signed integers.
RowKey = tuple[int, int]

# Odd multipliers with good avalanche: 0x9E3779B1 is 2^32 / golden ratio, the others are the triple32 constants of
# Wellons' hash-prospector, written as signed 32-bit numbers since torch has no arithmetic on unsigned ones.
_SPREAD = 0x9E3779B1 - (1 << 32)
_MIX_1 = 0xED5AD4BB - (1 << 32)
_MIX_2 = 0xAC4C1B51 - (1 << 32)
_MIX_3 = 0x31848BAB
# Rows worked on at a time: four rows of 49,000 32-bit words stay in a core's second-level cache.
_ROWS = 4


def row_key(seed: int, stream: str, sample: int) -> RowKey:
    """Return the key of one completion: a 64-bit hash of the session's seed, the stream's name and the sample index."""
    digest = hashlib.blake2b(f"{seed}\x1f{stream}\x1f{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], signed=True), int.from_bytes(digest[4:], signed=True)


def exponential_race(logits: torch.Tensor, keys: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Draw one token per row from softmax(logits).

    logits: float32, shape (rows, vocabulary), already divided by the temperature; -inf excludes a token.
    keys: int32, shape (rows, 2). steps: int32, shape (rows,): how many tokens each row has drawn before.
    Returns int64, shape (rows,).
    """
    winners = torch.empty(logits.shape[0], dtype=torch.int64, device=logits.device)
    # A GPU is fastest with all rows at once.
    size = _ROWS if logits.device.type == "cpu" else len(logits)
    for start in range(0, len(logits), size):
        rows = slice(start, start + size)
        torch.argmax(exponential_scores(logits[rows], keys[rows], steps[rows]), dim=1, out=winners[rows])
    return winners


def exponential_scores(logits: torch.Tensor, keys: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Return what each token scores in the race, logit - log E; shapes as above, float32 (rows, vocabulary)."""
    tokens = torch.arange(logits.shape[1], dtype=torch.int32, device=logits.device).mul_(_SPREAD)
    words = tokens + keys[:, :1]
    words = _hash(words.bitwise_xor_(_hash(steps.mul(_SPREAD).add_(keys[:, 1]))[:, None]))
    return logits - _exponential(words).log_()


def _hash(words: torch.Tensor) -> torch.Tensor:
    """Mix 32-bit words in place (triple32): every input bit flips each output bit with probability near one half."""
    for shift, mask, factor in ((17, 0x7FFF, _MIX_1), (11, 0x1FFFFF, _MIX_2), (15, 0x1FFFF, _MIX_3)):
        # The mask undoes the sign extension of torch's arithmetic shift.
        words.bitwise_xor_((words >> shift).bitwise_and_(mask)).mul_(factor)
    return words.bitwise_xor_((words >> 14).bitwise_and_(0x3FFFF))


def _exponential(words: torch.Tensor) -> torch.Tensor:
    """Turn hashed words into standard exponentials, float32.

    The smallest E wins a race, so small values need all 31 bits: u is formed near zero, where floats are dense, and
    E = -log(1 - u) keeps them. (A 24-bit uniform would never draw a token of probability below 6e-8.) The sign bit is
    left out: to undo it costs as much as a logarithm. The largest words round to u = 1 and E = inf, which never wins.
    """
    uniform = words.bitwise_and_(0x7FFFFFFF).to(torch.float32)
    return uniform.mul_(-(2.0**-31)).sub_(2.0**-32).log1p_().neg_()
