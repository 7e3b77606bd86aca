"""Layouts of a forward pass: every token in its place, and nothing seen that a sequence alone would not see."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.packing import Batch, packed_batches, padded_batches

#: Three tokens: beginnings are shared, and whole sequences too.
FEW = st.integers(0, 2)
SEQUENCES = st.one_of(
    st.lists(FEW, min_size=1, max_size=12),
    st.lists(st.integers(0, 500), min_size=1, max_size=40),
    st.builds(lambda first, length: [first] + [1] * length, FEW, st.integers(0, 300)),
).map(tuple)
SETS = st.lists(SEQUENCES, max_size=25).map(lambda found: {7 * number: ids for number, ids in enumerate(found)})
BUDGETS = st.one_of(st.integers(1, 64), st.integers(65, 2000))


def packed(sequences: Mapping[int, Ids], tokens: int) -> list[Batch]:
    return list(packed_batches(sequences, tokens, torch.float32))


def padded(sequences: Mapping[int, Ids], tokens: int) -> list[Batch]:
    return list(padded_batches(sequences, tokens))


def shape(batch: Batch) -> tuple[int, int]:
    rows, width = batch.inputs["input_ids"].shape
    return rows, width


def longest(batch: Batch, sequences: Mapping[int, Ids]) -> int:
    return max(len(sequences[index]) for index in batch.places)


def place_each_once(batches: Sequence[Batch], sequences: Mapping[int, Ids]) -> None:
    placed = [index for batch in batches for index in batch.places]
    assert sorted(placed) == sorted(sequences)
    for batch in batches:
        rows, width = shape(batch)
        assert {row for row, _ in batch.places.values()} == set(range(rows))
        for index, (row, columns) in batch.places.items():
            assert 0 <= min(columns) <= max(columns) < width
            assert tuple(batch.inputs["input_ids"][row, list(columns)].tolist()) == sequences[index]


def prefixes(sequences: Sequence[Ids]) -> set[Ids]:
    return {ids[:length] for ids in sequences for length in range(1, len(ids) + 1)}


@given(SETS, BUDGETS)
def test_every_sequence_reads_back_from_one_place(sequences: dict[int, Ids], tokens: int) -> None:
    place_each_once(packed(sequences, tokens), sequences)
    place_each_once(padded(sequences, tokens), sequences)


@given(SETS, BUDGETS)
def test_a_packed_token_stands_where_it_does_alone_and_sees_its_own_path(
    sequences: dict[int, Ids], tokens: int
) -> None:
    for batch in packed(sequences, tokens):
        positions, mask = batch.inputs["position_ids"], batch.inputs["attention_mask"]
        rows, width = shape(batch)
        assert positions.shape == (rows, width)
        assert mask.shape == (rows, 1, width, width)
        assert set(mask.unique().tolist()) <= {0.0, torch.finfo(torch.float32).min}
        for index, (row, columns) in batch.places.items():
            assert positions[row, list(columns)].tolist() == list(range(len(sequences[index])))
            sees = torch.zeros(len(columns), width, dtype=torch.bool)
            for place in range(len(columns)):
                sees[place, list(columns[: place + 1])] = True
            assert torch.equal(mask[row, 0, list(columns)] == 0, sees)


@given(SETS, BUDGETS)
def test_padding_sees_itself_alone(sequences: dict[int, Ids], tokens: int) -> None:
    # Not nothing: the softmax over an empty row is NaN.
    for batch in packed(sequences, tokens):
        rows, width = shape(batch)
        used = {(row, column) for row, columns in batch.places.values() for column in columns}
        for row in range(rows):
            for column in range(width):
                if (row, column) not in used:
                    seen = (batch.inputs["attention_mask"][row, 0, column] == 0).nonzero().flatten()
                    assert seen.tolist() == [column]


@given(SETS, BUDGETS)
def test_a_padded_row_is_its_sequence_from_the_left(sequences: dict[int, Ids], tokens: int) -> None:
    for batch in padded(sequences, tokens):
        mask = batch.inputs["attention_mask"]
        assert mask.shape == shape(batch)
        for index, (row, columns) in batch.places.items():
            assert list(columns) == list(range(len(sequences[index])))
            assert mask[row].tolist() == [1] * len(columns) + [0] * (mask.shape[1] - len(columns))
        assert len({row for row, _ in batch.places.values()}) == len(batch.places)


@given(SETS, BUDGETS)
def test_what_sequences_of_a_row_begin_with_is_stored_once(sequences: dict[int, Ids], tokens: int) -> None:
    for batch in packed(sequences, tokens):
        for number in range(shape(batch)[0]):
            inside = {index: columns for index, (row, columns) in batch.places.items() if row == number}
            stored = {column for columns in inside.values() for column in columns}
            assert len(stored) == len(prefixes([sequences[index] for index in inside]))


@given(SETS, BUDGETS)
def test_a_batch_keeps_to_its_tokens_but_for_a_single_row(sequences: dict[int, Ids], tokens: int) -> None:
    for batch in packed(sequences, tokens):
        rows, width = shape(batch)
        assert rows == 1 or rows * width <= tokens
        # Twice the tokens at most, where a long beginning is shared: else half the tokens would change nothing.
        assert width <= 2 * tokens or len(batch.places) == 1
    for batch in padded(sequences, tokens):
        rows, width = shape(batch)
        assert rows == 1 or rows * width <= tokens
        assert width == longest(batch, sequences)


@given(SETS, BUDGETS)
def test_the_widest_come_first(sequences: dict[int, Ids], tokens: int) -> None:
    # The first batch shows whether the memory is enough.
    widths = [shape(batch)[1] for batch in packed(sequences, tokens)]
    assert widths == sorted(widths, reverse=True)
    for before, after in pairwise(padded(sequences, tokens)):
        least = min(len(sequences[index]) for index in before.places)
        assert least >= longest(after, sequences)


@given(SETS, BUDGETS)
def test_a_batch_does_not_depend_on_the_order_of_its_sequences(sequences: dict[int, Ids], tokens: int) -> None:
    turned = dict(reversed(sequences.items()))
    for lay in (packed, padded):
        places = [dict(batch.places) for batch in lay(sequences, tokens)]
        assert [dict(batch.places) for batch in lay(turned, tokens)] == places


def test_nothing_is_laid_out_as_nothing() -> None:
    assert packed({}, 512) == padded({}, 512) == []


def test_a_sequence_that_is_too_long_is_alone_in_its_batch() -> None:
    # Whoever runs out of memory with it must not take others along, not even those that cost nothing.
    sequences: dict[int, Ids] = {0: (1,), 1: (1, *range(2, 200)), 2: (1,), 3: (1, *range(2, 200)), 4: (1, 2, 3)}
    for batch in packed(sequences, 64):
        assert len(batch.places) == 1 or longest(batch, sequences) < 64
    assert {len(batch.places) for batch in packed(sequences, 64)} == {1, 3}


def realistic(count: int, seed: int) -> dict[int, Ids]:
    """Draw sentences of 4 to 120 tokens, most of them around 20, behind one start token."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    lengths = [min(120, max(4, round(drawn.lognormvariate(3, 0.5)))) for _ in range(count)]
    return {index: (0, *(drawn.randrange(1, 30_000) for _ in range(length))) for index, length in enumerate(lengths)}


@pytest.mark.parametrize("seed", range(4))
def test_little_is_wasted_on_padding(seed: int) -> None:
    sequences = realistic(1000, seed)
    rooms = sum(rows * width for rows, width in map(shape, packed(sequences, 512)))
    tokens = sum(len(ids) for ids in sequences.values())
    # The start token of a row is shared, so that a full row holds more tokens than places.
    assert rooms <= 1.02 * tokens


def test_few_sequences_waste_little_too() -> None:
    sequences = realistic(40, 1)
    rooms = sum(rows * width for rows, width in map(shape, packed(sequences, 512)))
    assert rooms <= 1.2 * sum(len(ids) for ids in sequences.values())


def pairs(first_words: int) -> dict[int, Ids]:
    """Draw 200 pairs of sentences that share a beginning; 2n and 2n + 1 are a pair."""
    drawn = random.Random(0)  # noqa: S311 - no secret
    sequences: dict[int, Ids] = {}
    for pair in range(200):
        common = (0, drawn.randrange(1, 1 + first_words), *drawn.sample(range(1000, 30_000), drawn.randint(3, 13)))
        for member in (0, 1):
            own = drawn.sample(range(1000, 30_000), drawn.randint(4, 16))
            sequences[2 * pair + member] = (*common, 30_000 + member, *own)
    return sequences


@pytest.mark.parametrize("first_words", [20_000, 100, 3])
def test_the_sentences_of_a_pair_share_their_common_beginning(first_words: int) -> None:
    # Three first words: all sentences share two tokens with many others, and a pair must not be cut for those.
    sequences = pairs(first_words)
    batches = packed(sequences, 512)
    places = {index: (number, place) for number, batch in enumerate(batches) for index, place in batch.places.items()}
    apart = 0
    for pair in range(200):
        (batch, (row, columns)), (other_batch, (other_row, other_columns)) = places[2 * pair], places[2 * pair + 1]
        if (batch, row) != (other_batch, other_row):
            apart += 1
            continue
        shared = len(set(columns) & set(other_columns))
        first, second = sequences[2 * pair], sequences[2 * pair + 1]
        assert first[:shared] == second[:shared]
        assert first[shared] != second[shared]
    assert apart <= 2
    rooms = sum(rows * width for rows, width in map(shape, batches))
    assert rooms <= 1.12 * len(prefixes(list(sequences.values())))
    assert rooms <= 0.8 * sum(len(ids) for ids in sequences.values())


def test_the_choices_after_a_long_context_share_it() -> None:
    context = tuple(range(1, 301))
    sequences: dict[int, Ids] = {
        choice: (*context, *range(400 + 20 * choice, 415 + 20 * choice)) for choice in range(8)
    }
    (batch,) = packed(sequences, 512)
    assert shape(batch) == (1, 300 + 8 * 15)
