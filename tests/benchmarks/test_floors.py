from __future__ import annotations

import pytest

from benchmarks.floors import Floor, Machine, ModelSize, generation_floor, likelihood_floor

SIZE = ModelSize(matrix_parameters=100, bytes_per_parameter=4, cache_bytes_per_token=10)


def test_generation_bound_by_reading_shares_the_weights_among_the_rows() -> None:
    floor = generation_floor(Machine(bandwidth=100.0, gemm=1e9), SIZE, rows=4, context=5.0)
    # 400 bytes of weights and 4 rows of 5 tokens of 10 bytes, at 100 bytes a second, for 4 tokens.
    assert floor.seconds == pytest.approx((400 + 200) / 100 / 4)
    assert floor.bound == "set by reading weights and cache"


def test_generation_bound_by_multiplying_does_not_depend_on_the_rows() -> None:
    machine = Machine(bandwidth=1e9, gemm=50.0)
    floors = [generation_floor(machine, SIZE, rows=rows, context=5.0) for rows in (1, 64)]
    assert [floor.bound for floor in floors] == ["set by multiplying"] * 2
    assert [floor.seconds for floor in floors] == pytest.approx([4.0, 4.0])


def test_likelihood_multiplies_twice_per_parameter() -> None:
    assert likelihood_floor(Machine(bandwidth=1.0, gemm=50.0), SIZE).seconds == pytest.approx(2 * 100 / 50)


def test_the_line_of_a_floor() -> None:
    line = Floor(0.00105, "set by multiplying").line("generation", 0.0024)
    assert line == "floor: generation 0.00105 s/token (set by multiplying), llmaudit 0.0024 = 2.3x the floor"


def test_the_better_measurement_counts_for_each_rate() -> None:
    assert Machine(bandwidth=2.0, gemm=30.0).or_better(Machine(bandwidth=4.0, gemm=20.0)) == Machine(4.0, 30.0)


def test_the_line_of_a_machine() -> None:
    line = Machine(bandwidth=1.31e10, gemm=1.33e11).line("float32")
    assert line == "machine: reads 13.1 GB/s, multiplies matrices at 133 GFLOP/s in float32"
