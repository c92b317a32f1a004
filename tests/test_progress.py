"""Progress: moving bars on terminals, whole lines in log files."""

from __future__ import annotations

import io

import pytest

from flowstream.progress import Progress, format_seconds, track


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests set."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_whole_line_every_half_minute(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(100, title="epoch 1", unit="step", stream=log) as bar:
        for step in range(100):
            clock[0] = step + 1.0
            bar.update(note="loss 0.5")
    lines = log.getvalue().splitlines()
    assert lines[0] == "epoch 1: 30 of 100 steps, 30%, 1 steps/s, 70 s left, loss 0.5"
    assert len(lines) == 4
    assert "100 of 100 steps" in lines[-1]
    assert not {"\r", "\x1b"} & set(log.getvalue())


def test_short_work_writes_nothing_to_a_log(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(3, stream=log) as bar:
        bar.update(3)
    assert log.getvalue() == ""


def test_skipped_units_do_not_count_as_speed(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(100, unit="video", stream=log) as bar:
        bar.skip(40)
        clock[0] = 30
        bar.update(30)
    assert log.getvalue().startswith("70 of 100 videos, 70%, 1 videos/s, 30 s left")


def test_a_terminal_gets_a_bar_that_a_nested_task_removes() -> None:
    screen = Terminal()
    with Progress(10, title="predict", unit="video", keep=False, stream=screen) as bar:
        bar.set_done(4, total=20, note="top-1 0.5")
        bar.skip(2)
        bar.say("a line")
    assert "predict" in screen.getvalue()
    assert "a line\n" in screen.getvalue()


def test_disabled_progress_is_silent(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress(2, enabled=False, stream=log) as bar:
        bar.say("never")
        clock[0] = 60
        bar.update()
    assert log.getvalue() == ""


def test_track_gives_the_items_back() -> None:
    assert list(track([1, 2, 3], 3)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (600, "10 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
