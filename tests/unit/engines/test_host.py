from __future__ import annotations

import mmap
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from llmaudit.engines import host
from llmaudit.engines.host import EnergyMeter, Watch, own_memory, own_peak, reset_own_peak


class Times(NamedTuple):
    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    steal: float
    guest: float


def machine(monkeypatch: pytest.MonkeyPatch, *readings: Times) -> None:
    left = iter(readings)
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(left))
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)


def clock(monkeypatch: pytest.MonkeyPatch, *readings: float) -> None:
    left = iter(readings)
    monkeypatch.setattr(time, "perf_counter", lambda: next(left))


def test_others_are_whoever_is_not_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # In two seconds of four processors somebody used 5: 3 of them this process, and 2 others, stolen ones among them.
    machine(monkeypatch, Times(10, 0, 0, 90, 5, 0, 10), Times(13, 0.5, 0.5, 93, 5, 1, 12))
    clock(monkeypatch, 100.0, 102.0)
    own = iter([7.0, 10.0])
    monkeypatch.setattr(host, "_own_seconds", lambda: next(own))
    assert Watch().others() == pytest.approx(2 / 8)


def test_ticks_that_do_not_match_give_no_negative_share(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Times(10, 0, 0, 0, 0, 0, 0), Times(10, 0, 0, 0, 0, 0, 0))
    clock(monkeypatch, 1.0, 2.0)
    own = iter([0.0, 0.02])
    monkeypatch.setattr(host, "_own_seconds", lambda: next(own))
    assert Watch().others() == 0.0


def test_no_time_is_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock(monkeypatch, 1.0, 1.0)
    assert Watch().others() is None


def test_the_work_of_children_is_our_own() -> None:
    before = host._own_seconds()
    subprocess.run([sys.executable, "-S", "-c", "t = 0\nfor n in range(3_000_000): t += n"], check=True)
    assert host._own_seconds() - before >= 0.05


def test_our_own_work_is_not_that_of_others() -> None:
    watch = Watch()
    started = time.perf_counter()
    before = time.process_time()
    while time.perf_counter() - started < 0.3:
        pass
    share = watch.others()
    own = (time.process_time() - before) / (time.perf_counter() - started) / (psutil.cpu_count() or 1)
    assert share is not None
    assert share <= 1 - own + 0.15  # ticks of ten milliseconds


def test_memory_of_this_process_grows_with_what_it_holds() -> None:
    before = own_memory()["rss"]
    held = bytearray(b"x" * (1 << 26))
    after = own_memory()["rss"]
    assert before is not None
    assert after is not None
    assert after - before > len(held) // 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_can_be_forgotten() -> None:
    # Mapped and not from the C library, which may have been told to keep what is freed.
    with mmap.mmap(-1, 1 << 27) as held:
        held.write(b"x" * (1 << 27))
        high = own_peak()["rss"]
    assert reset_own_peak()
    low = own_peak()["rss"]
    assert high is not None
    assert low is not None
    assert high - low > 1 << 26
    assert own_peak()["uss"] is None


def test_a_system_without_a_peak_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(host, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(host, "_CLEAR", tmp_path / "none" / "clear_refs")
    assert own_peak() == {"rss": None, "uss": None}
    assert not reset_own_peak()


def counters(folder: Path, *microjoules: int, turn: int = 1_000_000) -> None:
    for number, value in enumerate(microjoules):
        place = folder / f"intel-rapl:{number}"
        place.mkdir(exist_ok=True)
        (place / "energy_uj").write_text(f"{value}\n", encoding="ascii")
        (place / "max_energy_range_uj").write_text(f"{turn}\n", encoding="ascii")


def test_energy_is_the_sum_over_packages_since_the_meter_was_made(tmp_path: Path) -> None:
    counters(tmp_path, 100_000, 500_000)
    (tmp_path / "intel-rapl:0:0").mkdir()  # the cores of a package are part of it
    meter = EnergyMeter(tmp_path)
    counters(tmp_path, 350_000, 600_000)
    assert meter.joules() == pytest.approx(0.35)
    counters(tmp_path, 450_000, 600_000)
    assert meter.joules() == pytest.approx(0.45)


def test_a_counter_that_starts_anew_loses_nothing(tmp_path: Path) -> None:
    counters(tmp_path, 900_000)
    meter = EnergyMeter(tmp_path)
    counters(tmp_path, 100_000)
    assert meter.joules() == pytest.approx(0.2)


def test_a_machine_that_does_not_tell_its_energy_has_none_not_zero(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path).joules() is None
    counters(tmp_path, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert EnergyMeter(tmp_path).joules() is None
