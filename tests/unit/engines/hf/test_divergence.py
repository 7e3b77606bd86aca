"""Two models on the same tokens, against the formulas as they are written."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.comparing import Span, compare_logits
from llmaudit.engines.hf import divergence as module
from llmaudit.engines.hf.divergence import StoredBaseline, compare_pieces, divergence, read_span
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.errors import EngineError

CPU = torch.device("cpu")
SPANS = (Span((5, 9, 2, 7, 3, 8, 6, 4), 1), Span(tuple(range(20, 60)), 1), Span(tuple(range(1, 90)), 45))


def logits(seed: int, rows: int = 7, columns: int = 50, scale: float = 4.0) -> torch.Tensor:
    return scale * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def targets(rows: int = 7, columns: int = 50) -> torch.Tensor:
    return torch.arange(rows) * 3 % columns


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.01, 30))
def test_every_number_is_the_formulas(one: int, other: int, scale: float) -> None:
    p, q = logits(one, scale=scale), logits(other, scale=scale)
    found = divergence(p, q, targets()).numpy()
    expected = compare_logits(p.double().numpy(), q.double().numpy(), targets().tolist())
    assert found[:, 0] == pytest.approx(expected.kl, rel=1e-5, abs=1e-5)
    assert found[:, 1] == pytest.approx(expected.reference_nll, rel=1e-5, abs=1e-6)
    assert found[:, 2] == pytest.approx(expected.nll, rel=1e-5, abs=1e-6)
    assert found[:, 3].tolist() == expected.same_top.tolist()
    assert found[:, 4].tolist() == expected.shared_top.tolist()


@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_a_model_does_not_diverge_from_itself(seed: int, scale: float) -> None:
    p = logits(seed, scale=scale)
    found = divergence(p, p.clone(), targets())
    assert found[:, 0].tolist() == [0.0] * 7
    assert torch.equal(found[:, 1], found[:, 2])
    assert found[:, 3:].tolist() == [[1.0, 1.0]] * 7


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(1e-5, 20))
def test_it_is_negative_by_rounding_at_most(one: int, other: int, change: float) -> None:
    p = logits(one, rows=3)
    found = divergence(p, p + logits(other, rows=3, scale=change), targets(3))
    assert (found[:, 0] > -1e-6).all()
    assert (found[:, 1:3] >= 0).all()


def test_a_constant_added_to_all_logits_changes_nothing() -> None:
    p, q = logits(1), logits(2)
    assert torch.allclose(divergence(p + 64, q - 32, targets()), divergence(p, q, targets()), atol=1e-5)


def test_tokens_that_both_models_forbid_do_not_count() -> None:
    p, q = logits(1), logits(2)
    p[:, 40:], q[:, 40:] = -math.inf, -math.inf
    short = divergence(p[:, :40].contiguous(), q[:, :40].contiguous(), targets(columns=40))
    assert torch.allclose(divergence(p, q, targets(columns=40)), short, atol=1e-6)


def test_a_vocabulary_smaller_than_the_top_is_all_of_it() -> None:
    p, q = logits(1, columns=3), logits(2, columns=3)
    assert divergence(p, q, targets(columns=3))[:, 4].tolist() == [1.0] * 7


@pytest.fixture(scope="module")
def model(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


def joined(model: Any, span: Span) -> torch.Tensor:
    return torch.cat(list(read_span(model, span, CPU, 300)))


@pytest.mark.parametrize("piece", [1, 7, 16, 128])
@pytest.mark.parametrize("span", SPANS)
def test_pieces_give_what_a_plain_call_gives(
    model: Any, span: Span, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "piece_rows", lambda _: piece)
    with torch.inference_mode():
        plain = model(torch.tensor([span.ids])).logits[0, span.first - 1 : -1]
    assert torch.allclose(joined(model, span), plain, atol=1e-4)


def test_columns_that_pad_the_vocabulary_are_left_out(model: Any) -> None:
    (piece,) = read_span(model, SPANS[0], CPU, 290)
    assert piece.shape == (7, 290)


def reader(model: Any, asked: list[Span] | None = None) -> Any:
    def read(span: Span) -> Iterator[torch.Tensor]:
        if asked is not None:
            asked.append(span)
        return read_span(model, span, CPU, 300)

    return read


@pytest.fixture(scope="module")
def other(tiny: Any, llama_folder: Path) -> Any:
    changed = tiny.reference(llama_folder)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    return changed


def compared(model: Any, other: Any, folder: Path, disk: int, asked: list[Span] | None = None) -> list[Any]:
    with StoredBaseline(SPANS, reader(model, asked), 300, disk, folder) as baseline:
        return [positions for positions, _ in compare_pieces(reader(other), baseline)]


@pytest.mark.parametrize("disk", [0, 300 * 4 * 40, 10**9])
def test_what_lies_on_the_disk_changes_nothing(model: Any, other: Any, tmp_path: Path, disk: int) -> None:
    found = compared(model, other, tmp_path, disk)
    for positions, span in zip(found, SPANS, strict=True):
        expected = divergence(joined(model, span), joined(other, span), torch.tensor(span.targets)).numpy()
        assert positions.kl == pytest.approx(expected[:, 0], abs=1e-6)
        assert positions.nll == pytest.approx(expected[:, 2], abs=1e-6)
        assert len(positions.kl) == len(span.targets)


def test_pieces_of_logits_are_compared_as_the_whole_is() -> None:
    p, q = logits(1, rows=40), logits(2, rows=40)
    whole = divergence(p, q, targets(40))
    parts = [divergence(*(each[start : start + 7] for each in (p, q, targets(40)))) for start in range(0, 40, 7)]
    assert torch.allclose(torch.cat(parts), whole, rtol=0, atol=1e-6)


def test_models_that_read_in_pieces_are_compared_as_the_whole_is(
    model: Any, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compared(model, other, tmp_path, 10**9)
    monkeypatch.setattr(module, "piece_rows", lambda _: 5)
    for one, another in zip(whole, compared(model, other, tmp_path, 10**9), strict=True):
        # What the models give differs by rounding: they multiply other shapes.
        assert one.kl == pytest.approx(another.kl, rel=1e-4, abs=1e-6)
        assert one.reference_nll == pytest.approx(another.reference_nll, abs=1e-5)


def test_what_fits_on_the_disk_is_read_once(model: Any, other: Any, tmp_path: Path) -> None:
    asked: list[Span] = []
    compared(model, other, tmp_path, 10**9, asked)
    assert asked == list(SPANS)
    asked.clear()
    # The first span takes 8,400 bytes, the second 46,800, the third 52,800.
    compared(model, other, tmp_path, 60_000, asked)
    assert asked == [SPANS[0], SPANS[1], SPANS[2]]
    asked.clear()
    compared(model, other, tmp_path, 0, asked)
    assert asked == list(SPANS)


def test_a_full_disk_is_a_bound(model: Any, other: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file

        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **how: Full(make(**how)))
    with StoredBaseline(SPANS, reader(model), 300, 10**9, tmp_path) as baseline:
        assert baseline.stored == 0
        assert len(list(compare_pieces(reader(other), baseline))) == len(SPANS)


def test_nothing_stays_behind(model: Any, other: Any, tmp_path: Path) -> None:
    compared(model, other, tmp_path, 10**9)
    assert not list(tmp_path.iterdir())


def test_the_speed_counts_every_token_that_was_read(model: Any, tmp_path: Path) -> None:
    with StoredBaseline(SPANS, reader(model), 300, 10**9, tmp_path) as baseline:
        assert 0 < baseline.speed < 1e9
    with StoredBaseline(SPANS, reader(model), 300, 0, tmp_path) as empty:
        assert math.isnan(empty.speed)


def test_other_numbers_of_tokens_cannot_be_compared(model: Any, tmp_path: Path) -> None:
    def narrow(span: Span) -> Iterator[torch.Tensor]:
        return read_span(model, span, CPU, 299)

    with (
        StoredBaseline(SPANS, reader(model), 300, 10**9, tmp_path) as baseline,
        pytest.raises(EngineError, match="predict 300 and 299 tokens"),
    ):
        list(compare_pieces(narrow, baseline))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_an_engine_does_not_diverge_from_the_same_weights_under_another_name(
    request: pytest.FixtureRequest, tiny: Any, name: str
) -> None:
    engine: HFEngine = request.getfixturevalue(name)
    other: HFEngine = tiny.engine(request.getfixturevalue(f"{name}_folder"))
    assert engine.vocabulary == other.vocabulary
    with engine.baseline(SPANS, 10**9) as baseline:
        found = [positions for positions, _ in other.compare(baseline)]
    assert all(not positions.kl.any() for positions in found)
    assert all(np.array_equal(positions.nll, positions.reference_nll) for positions in found)


def test_a_parked_engine_comes_back_as_it_was(tiny: Any, llama_folder: Path) -> None:
    engine: HFEngine = tiny.engine(llama_folder)
    with engine.baseline(SPANS, 10**9) as before:
        engine.park()
        engine.resume()
        assert all(not positions.kl.any() for positions, _ in engine.compare(before))


def test_a_span_longer_than_the_context_is_refused(llama: HFEngine) -> None:
    with pytest.raises(EngineError, match=r"span 0: 97 tokens are more than the model's context of 96"):
        llama.baseline([Span(tuple(range(97)), 1)], 10**9)


def test_engines_with_other_tokens_have_other_vocabularies(tiny: Any, llama: HFEngine) -> None:
    tokenizer = tiny.byte_fallback()
    config = tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2)
    assert tiny.engine(tiny.folder(config, tokenizer)).vocabulary != llama.vocabulary
