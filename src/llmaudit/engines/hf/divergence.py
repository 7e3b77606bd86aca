"""Two models on the same tokens: their logits compared piece by piece, the reference's kept on disk."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from llmaudit.engines.comparing import TOP, Positions, Span
from llmaudit.engines.hf.cache import new_cache
from llmaudit.errors import EngineError

__all__ = ["Reader", "StoredBaseline", "compare_pieces", "divergence", "piece_rows", "read_span"]

#: Logits that exist at a time, 48 MB in float32; but no fewer positions than a matrix product needs to be fast.
_LOGITS = 12_000_000
_LEAST_ROWS, _MOST_ROWS = 64, 1024
#: Rows that are compared at a time. A few rows of 49,000 numbers stay in a processor's second-level cache; on an
#: accelerator more of them keep it busy.
_ROWS = {"cpu": 2}
_ROWS_ELSEWHERE = 256
#: What stands for a logit of minus infinity: its probability is 0 in float32, and differences stay numbers.
_LEAST = -1e4

#: Gives the logits of the scored tokens of a span, in pieces of shape (at most `piece_rows`, vocabulary) and float32.
Reader = Callable[[Span], Iterator[torch.Tensor]]


def piece_rows(columns: int) -> int:
    """How many positions of so many logits are read at a time."""
    return min(max(_LEAST_ROWS, _LOGITS // columns), _MOST_ROWS)


@torch.inference_mode()
def read_span(model: Any, span: Span, device: torch.device, columns: int) -> Iterator[torch.Tensor]:
    """Yield logits of the first `columns` tokens of the vocabulary, a row for every scored token of a span.

    Tokens that are only context are read without their logits. Pieces begin at multiples of `piece_rows`, so that two
    models yield the same pieces.
    """
    cache, rows = new_cache(), piece_rows(columns)
    ids = span.ids[:-1]  # the last token is predicted, never looked from
    for begin in range(0, len(ids), rows):
        piece = torch.tensor([ids[begin : begin + rows]], device=device)
        end = begin + piece.shape[1]
        positions = torch.arange(begin, end, device=device)[None]
        scored = end - max(begin, span.first - 1)
        out = model(piece, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=max(scored, 1))
        if scored > 0:
            yield out.logits[0, -scored:, :columns].float()


def divergence(reference: torch.Tensor, model: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compare logits, shape (tokens, vocabulary), float32; returns float64 of shape (tokens, 5).

    The columns are KL(reference||model) in nats, not clipped; the negative log-probability of `targets` by the
    reference and by the model; 1 where the most likely token is the same; the share of the TOP most likely ones that
    is. Exponentials and their sums are of float32; logarithms and differences of what is summed, of float64: the
    divergence of a model from itself is exactly 0, and noise is some 1e-7 nats.
    """
    size = _ROWS.get(reference.device.type, _ROWS_ELSEWHERE)
    found = _in_blocks(reference, model, targets, size)
    if bool(found.isfinite().all()):
        return found
    # Some models forbid tokens by a logit of minus infinity.
    return _in_blocks(reference.clamp_min(_LEAST), model.clamp_min(_LEAST), targets, size)


def _in_blocks(reference: torch.Tensor, model: torch.Tensor, targets: torch.Tensor, size: int) -> torch.Tensor:
    starts = range(0, len(targets), size)
    return torch.cat([_rows(*(each[start : start + size] for each in (reference, model, targets))) for start in starts])


def _rows(reference: torch.Tensor, model: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    top = min(TOP, reference.shape[1])
    best_p, best_q = reference.topk(top), model.topk(top)
    p, q = reference - best_p.values[:, :1], model - best_q.values[:, :1]
    wanted = targets[:, None]
    chosen_p, chosen_q = p.gather(1, wanted)[:, 0].double(), q.gather(1, wanted)[:, 0].double()
    weights = p.exp()
    mass = weights.sum(1).double()
    total_p = mass.log()
    weighted = torch.linalg.vecdot(weights, p.sub_(q)).double()
    total_q = q.exp_().sum(1).double().log()
    shared = (best_p.indices[:, :, None] == best_q.indices[:, None, :]).any(2).double().mean(1)
    same = (best_p.indices[:, 0] == best_q.indices[:, 0]).double()
    kl = weighted / mass + (total_q - total_p)
    return torch.stack([kl, total_p - chosen_p, total_q - chosen_q, same, shared], dim=1)


class StoredBaseline:
    """The logits of a reference for some spans: in a temporary file as far as it may grow, else read again each time.

    The file has no name and vanishes with the process. A disk that is full before the bound is reached bounds it.
    """

    def __init__(self, spans: Sequence[Span], read: Reader, columns: int, disk: int, folder: Path) -> None:
        self.spans = spans
        self.columns = columns
        self._read = read
        self._seconds, self._tokens = 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)
        # A folder of its own: /tmp is in memory on many systems.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed in __exit__
        self._offsets: list[int | None] = []
        try:
            self._fill(disk)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> StoredBaseline:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Give the disk back."""
        self._file.close()

    @property
    def speed(self) -> float:
        """Tokens read per second, the context of what is scored included; NaN before any."""
        return self._tokens / self._seconds if self._seconds else math.nan

    @property
    def stored(self) -> int:
        """How many spans are in the file."""
        return sum(offset is not None for offset in self._offsets)

    def pieces(self, number: int) -> Iterator[torch.Tensor]:
        """Yield the logits of a span, in the pieces in which they were read."""
        offset = self._offsets[number]
        if offset is None:
            yield from self._live(self.spans[number])
            return
        for rows in _piece_lengths(self.spans[number], piece_rows(self.columns)):
            buffer = np.empty((rows, self.columns), dtype=np.float32)
            _fill_from(self._file, offset, buffer)
            offset += buffer.nbytes
            yield torch.from_numpy(buffer)

    def _live(self, span: Span) -> Iterator[torch.Tensor]:
        for piece, seconds in _timed(self._read(span)):
            self._seconds += seconds
            yield piece
        self._tokens += len(span.ids) - 1

    def _fill(self, disk: int) -> None:
        used, full = 0, False
        for span in self.spans:
            size = span.size(self.columns)
            if full or used + size > disk:
                self._offsets.append(None)
                continue
            try:
                self._keep(span, used)
            except OSError:
                full = True
                self._offsets.append(None)
                continue
            self._offsets.append(used)
            used += size

    def _keep(self, span: Span, offset: int) -> None:
        self._file.seek(offset)
        for piece in self._live(span):
            data = piece.cpu().contiguous().numpy().view(np.uint8).reshape(-1)
            while data.size:  # one call writes at most 2 GB, and less on a disk that is nearly full
                data = data[self._file.write(data.data) :]


def compare_pieces(read: Reader, baseline: StoredBaseline) -> Iterator[tuple[Positions, float]]:
    """Compare a model with a baseline, span by span: yields (what differs, seconds that the model took to read)."""
    for number, span in enumerate(baseline.spans):
        targets, found, waited, done = torch.tensor(span.targets), [], 0.0, 0
        for reference, (model, seconds) in zip(baseline.pieces(number), _timed(read(span)), strict=True):
            waited += seconds
            end = done + len(model)
            if reference.shape != model.shape:
                raise EngineError(
                    f"the models predict {reference.shape[1]} and {model.shape[1]} tokens: they cannot be compared"
                )
            place = model.device
            found.append(divergence(reference.to(place), model, targets[done:end].to(place)).cpu())
            done = end
        yield _positions(torch.cat(found)), waited


def _positions(found: torch.Tensor) -> Positions:
    kl, reference_nll, nll, same, shared = (column.numpy().copy() for column in found.unbind(1))
    return Positions(np.maximum(kl, 0.0), reference_nll, nll, same, shared, clipped=int((kl < 0).sum()))


def _timed(pieces: Iterator[torch.Tensor]) -> Iterator[tuple[torch.Tensor, float]]:
    """Pass pieces on, each with the seconds that it was waited for."""
    while True:
        started = time.perf_counter()
        piece = next(pieces, None)
        if piece is None:
            return
        if piece.device.type != "cpu":
            torch.accelerator.synchronize(piece.device)
        yield piece, time.perf_counter() - started


def _piece_lengths(span: Span, rows: int) -> list[int]:
    """How many scored positions each piece of a span has."""
    ends = range(rows, len(span.ids) - 1 + rows, rows)
    found = [min(end, len(span.ids) - 1) - max(end - rows, span.first - 1) for end in ends]
    return [scored for scored in found if scored > 0]


def _fill_from(file: Any, offset: int, buffer: np.ndarray[Any, Any]) -> None:
    file.seek(offset)
    rest = buffer.view(np.uint8).reshape(-1)
    while rest.size:
        read = file.readinto(rest.data)
        if not read:
            raise EngineError("the temporary file of the reference's logits is shorter than what was written to it")
        rest = rest[read:]
