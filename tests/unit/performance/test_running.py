from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llmaudit.engines.launches import LaunchFailure, LaunchResult, LaunchSpec, Outcome
from llmaudit.performance import running
from llmaudit.performance.running import Looking, ProcessRunner, Waiting, busy_share, run_launches
from tests.unit.performance.recorded import Recording, result, spec

SPECS = [spec("model", 0), spec("half", 1), spec("half", 2), spec("model", 3)]
CRASH = LaunchFailure("half", 1, "crashed", "ended by signal 11", 0.3)


def looks(*shares: float | None) -> Looking:
    """What others use, look by look; the last share stays."""
    left: Iterator[float | None] = iter(shares)
    last: list[float | None] = [None]

    def look(device: str) -> float | None:
        last[0] = next(left, last[0])
        return last[0]

    return look


def run(recording: Recording, look: Looking, waiting: Waiting) -> list[Outcome]:
    return list(run_launches(SPECS, recording, waiting, look))


def busy(outcomes: Sequence[Outcome]) -> list[float | None]:
    return [each.busy_before for each in outcomes if isinstance(each, LaunchResult)]


def test_a_launch_that_fails_costs_itself_only() -> None:
    recording = Recording([None, CRASH])
    outcomes = run(recording, looks(0.0), Waiting())
    assert [each.number for each in recording.asked] == [0, 1, 2, 3]
    assert outcomes[1] == CRASH
    assert [isinstance(each, LaunchResult) for each in outcomes] == [True, False, True, True]


def test_launches_are_made_one_after_the_other() -> None:
    recording = Recording()
    launches = run_launches(SPECS, recording, Waiting(), looks(0.0))
    next(launches)
    assert len(recording.asked) == 1


def test_launches_are_prepared_before_their_turn_and_discarded_where_nobody_waits_for_them() -> None:
    recording = Recording()
    launches = run_launches(SPECS, recording, Waiting(), looks(0.0))
    next(launches)
    assert recording.prepared == SPECS[: running._ABREAST]
    launches.close()  # type: ignore[attr-defined]  # a generator, as Ctrl-C closes it
    assert (len(recording.asked), recording.discarded) == (1, 1)
    recording = Recording()
    run(recording, looks(0.0), Waiting())
    assert recording.prepared == recording.asked == SPECS


def test_what_is_not_wanted_any_more_is_neither_prepared_nor_run() -> None:
    recording = Recording([None, CRASH])
    specs = [spec("half" if number % 2 else "model", number) for number in range(running._ABREAST + 3)]

    def wanted(asked: LaunchSpec) -> bool:
        return asked.arm == "model" or len(recording.asked) < 2

    outcomes = list(run_launches(specs, recording, Waiting(), looks(0.0), wanted))
    # The others that were made ready beside it are ended without having run, and no further one is made ready.
    assert [each.number for each in outcomes if each.arm == "half"] == [1]
    assert [each.number for each in recording.asked] == [0, 1, *range(2, len(specs), 2)]
    assert all(each.arm == "model" for each in recording.prepared[running._ABREAST :])
    assert recording.discarded >= 2


def test_a_quiet_machine_is_not_waited_for() -> None:
    started = time.monotonic()
    outcomes = run(Recording(), looks(0.01, 0.02, 0.03, 0.04), Waiting(quiet=0.1, seconds=60))
    assert time.monotonic() - started < 5
    assert busy(outcomes) == [0.01, 0.02, 0.03, 0.04]
    assert not any("Waited" in remark for each in outcomes if isinstance(each, LaunchResult) for remark in each.remarks)


def test_a_loud_machine_is_waited_for_until_it_is_quiet() -> None:
    outcomes = run(Recording(), looks(0.9, 0.8, 0.05), Waiting(quiet=0.1, seconds=60, between=0.01))
    assert busy(outcomes) == [0.05] * 4


def test_a_machine_that_is_never_quiet_costs_the_bound_once() -> None:
    started = time.monotonic()
    outcomes = run(Recording(), looks(0.9), Waiting(quiet=0.1, seconds=1.0, between=0.01))
    assert 1.0 <= time.monotonic() - started < 3.5  # four waits would be four seconds
    assert busy(outcomes) == [0.9] * 4
    first = outcomes[0]
    assert isinstance(first, LaunchResult)
    assert first.remarks[-1] == "Waited 1 s for a quiet device."


def test_hope_returns_with_quiet() -> None:
    patient = Waiting(quiet=0.1, seconds=0.05, between=0.01)
    seen = looks(*[0.9] * 50)
    counted: list[str] = []

    def look(device: str) -> float | None:
        counted.append(device)
        # The second launch finds quiet at its only look; the third is waited for again.
        return {0: 0.9, 1: 0.0}.get(launches_made(), seen(device))

    recording = Recording()

    def launches_made() -> int:
        return len(recording.asked)

    assert busy(list(run_launches(SPECS, recording, patient, look))) == [0.9, 0.0, 0.9, 0.9]
    assert len(counted) > len(SPECS)


def test_a_machine_that_does_not_tell_is_taken_as_it_is() -> None:
    assert busy(run(Recording(), looks(None), Waiting(seconds=60))) == [None] * 4


def test_a_launch_that_finds_its_gpu_in_use_is_believed() -> None:
    seen = replace(result(SPECS[0]), busy_before=0.7)
    assert busy(run(Recording([seen]), looks(0.0), Waiting())) == [0.7, 0.0, 0.0, 0.0]


def test_the_share_of_others_is_a_share_of_this_machine() -> None:
    share = busy_share("cpu")
    assert share is not None
    assert 0.0 <= share <= 1.0


def test_a_gpu_in_use_counts_where_the_processors_are_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loud:
        def busy(self) -> float | None:
            return 1.0

    asked: list[str] = []

    def find(device: str) -> Loud:
        asked.append(device)
        return Loud()

    monkeypatch.setattr(running, "find_driver", find)
    assert busy_share("auto") == 1.0
    assert busy_share("cuda:1") == 1.0
    assert asked == ["cuda", "cuda:1"]
    monkeypatch.setattr(running, "find_driver", lambda device: None)
    assert busy_share("auto") is not None


def script(tmp_path: Path, text: str, timeout: float = 30) -> ProcessRunner:
    """A runner of a stand-in for the launched module: it gets the files of the spec and of the outcome."""
    file = tmp_path / "stand_in.py"
    file.write_text(f"import os, sys, time\nfrom pathlib import Path\n{text}\n", encoding="utf-8")
    return ProcessRunner(timeout, (sys.executable, "-S", str(file)))


def failed(runner: ProcessRunner, asked: LaunchSpec) -> LaunchFailure:
    outcome = runner(asked)
    assert isinstance(outcome, LaunchFailure)
    assert (outcome.arm, outcome.number) == (asked.arm, asked.number)
    return outcome


def test_a_process_gets_its_spec_and_gives_its_outcome(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(result(spec("half", 7)).to_json(), encoding="utf-8")
    runner = script(
        tmp_path,
        f"kept = Path({str(tmp_path)!r})\n"
        "(kept / 'asked.json').write_text(Path(sys.argv[1]).read_text())\n"
        "print('noise of a library')\n"
        "Path(sys.argv[2]).write_text((kept / 'kept.json').read_text())",
    )
    asked = spec("half", 7)
    assert runner(asked) == result(asked)
    assert LaunchSpec.from_json((tmp_path / "asked.json").read_text(encoding="utf-8")) == asked


def test_the_number_of_threads_is_set_before_any_library_is_loaded(tmp_path: Path) -> None:
    runner = script(tmp_path, "sys.exit(os.environ['OMP_NUM_THREADS'] + ' ' + os.environ['MKL_NUM_THREADS'])")
    assert failed(runner, replace(spec(), threads=3)).message == "ended with status 1: 3 3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sys.stderr.write('a\\nValueError: no head_dim'); sys.exit(3)",
            "ended with status 3: ValueError: no head_dim",
        ),
        ("os.abort()", "ended by signal 6"),
        ("os.kill(os.getpid(), 9)", "was killed from outside; the system does that when the memory runs out"),
        ("sys.exit(0)", "ended with status 0"),
        ("Path(sys.argv[2]).write_text('{}')", "left an unreadable outcome (not the outcome of a launch)"),
        ("sys.exit('no token=hf_abcdef for you')", "ended with status 1: no token=*** for you"),
    ],
    ids=["exception", "abort", "killed", "silent", "unreadable", "secret"],
)
def test_a_crash_is_told_in_words(tmp_path: Path, text: str, message: str) -> None:
    failure = failed(script(tmp_path, text), spec("half", 4))
    assert (failure.reason, failure.message) == ("crashed", message)
    assert failure.seconds > 0


def test_a_launch_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    runner = script(
        tmp_path,
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        f"Path({str(tmp_path)!r}, 'child').write_text(str(child.pid))\n"
        "time.sleep(600)",
        timeout=3,
    )
    started = time.monotonic()
    failure = failed(runner, spec())
    assert time.monotonic() - started < 20
    assert (failure.reason, failure.message) == ("hung", "took longer than 3 s and was killed")
    assert failure.seconds >= 3
    child = int((tmp_path / "child").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 10
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)


def test_a_failure_that_the_process_reports_keeps_its_reason(tmp_path: Path) -> None:
    told = LaunchFailure("model", 0, "no memory", "b512-p64-n3 does not fit the memory of cpu")
    (tmp_path / "kept.json").write_text(told.to_json(), encoding="utf-8")
    runner = script(tmp_path, f"Path(sys.argv[2]).write_text(Path({str(tmp_path)!r}, 'kept.json').read_text())")
    failure = failed(runner, spec())
    assert replace(failure, seconds=0.0) == told
    assert failure.seconds > 0


WAITING = "Path(sys.argv[2]).with_suffix('.ready').touch()\nword = os.read(0, 64)\nbegan = time.time()\n"


def test_prepared_launches_wait_for_their_turn(tmp_path: Path) -> None:
    text = f"Path({str(tmp_path)!r}, f'began {{time.time()}}').touch(); sys.exit(word.decode())"
    runner = script(tmp_path, f"{WAITING}{text}")
    runner.prepare(SPECS[:2])
    assert not list(tmp_path.glob("began *"))
    assert failed(runner, SPECS[0]).message == "ended with status 1: go"
    assert len(list(tmp_path.glob("began *"))) == 1
    assert failed(runner, SPECS[1]).message == "ended with status 1: go"


def test_a_launch_that_crashes_while_it_is_prepared_is_told_in_its_turn(tmp_path: Path) -> None:
    runner = script(tmp_path, "sys.exit('no module named torch')")
    started = time.monotonic()
    runner.prepare(SPECS[:2])
    assert time.monotonic() - started < 15
    assert failed(runner, SPECS[0]).message == "ended with status 1: no module named torch"
    assert failed(runner, SPECS[1]).reason == "crashed"


def test_a_launch_that_never_gets_ready_is_killed_before_any_other_is_timed(tmp_path: Path) -> None:
    runner = script(
        tmp_path,
        f"Path({str(tmp_path)!r}, f'pid {{os.getpid()}}').touch()\n"
        "'\"number\": 1' in Path(sys.argv[1]).read_text() and time.sleep(600)\n"
        f"{WAITING}sys.exit(word.decode())",
        timeout=3,
    )
    runner.prepare(SPECS[:2])
    living = [pid for file in tmp_path.glob("pid *") if _lives(pid := int(file.name.split()[1]))]
    assert len(living) == 1
    started = time.monotonic()
    failure = failed(runner, SPECS[1])
    assert (failure.reason, failure.message) == ("hung", "was not ready after 3 s and was killed")
    assert time.monotonic() - started < 1  # its time is not given to it twice
    assert failed(runner, SPECS[0]).message == "ended with status 1: go"


def test_what_was_prepared_ends_with_whoever_prepared_it(tmp_path: Path) -> None:
    stand_in = tmp_path / "stand_in.py"
    # As the launched module does: it ends where there is no word, but an end of its input.
    stand_in.write_text(
        f"import os, sys\nfrom pathlib import Path\nPath({str(tmp_path)!r}, 'pid').write_text(str(os.getpid()))\n"
        f"{WAITING.replace('began = time.time()', '')}assert word",
        encoding="utf-8",
    )
    parent = (
        "import os, sys\n"
        "from llmaudit.performance.running import ProcessRunner\n"
        "from tests.unit.performance.recorded import spec\n"
        f"ProcessRunner(30, (sys.executable, '-S', {str(stand_in)!r})).prepare([spec()])\n"
        "os.kill(os.getpid(), 9)"
    )
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", parent],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        timeout=60,
        check=False,
    )
    child = int((tmp_path / "pid").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 10
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)


def test_a_launch_that_cannot_be_started_is_counted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runner = ProcessRunner(5, (str(tmp_path / "no such program"),))
    runner.prepare(SPECS[:1])
    failure = failed(runner, SPECS[0])
    assert (failure.reason, failure.message) == ("crashed", "could not be started (No such file or directory)")
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_groups_of_processes_children_are_killed_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "killpg")
    runner = script(
        tmp_path,
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        f"Path({str(tmp_path)!r}, 'child').write_text(str(child.pid))\n"
        f"{WAITING}",
    )
    runner.prepare(SPECS[:1])
    child = int((tmp_path / "child").read_text(encoding="utf-8"))
    assert _lives(child)
    runner.discard()
    deadline = time.monotonic() + 10
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)


def test_what_was_prepared_and_never_run_is_ended(tmp_path: Path) -> None:
    runner = script(tmp_path, f"Path({str(tmp_path)!r}, 'pid').write_text(str(os.getpid()))\n{WAITING}")
    runner.prepare(SPECS[:1])
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert _lives(pid)
    runner.discard()
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_command_ignores_files_of_the_folder_at_hand() -> None:
    assert ProcessRunner().command == (sys.executable, "-P", "-m", "llmaudit.engines.hf.launch")
    assert os.path.isabs(sys.executable)  # noqa: PTH117 - a string
