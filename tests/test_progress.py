"""Progress: who sees it, and what it says of the time left."""

from __future__ import annotations

import io
import sys
import time
import types

import pytest

from keras_rk import check
from keras_rk.progress import Progress, duration, watched
from keras_rk.proof.rooted_trees import plan, trees_up_to


class Terminal(io.StringIO):
    def __init__(self, is_terminal=True):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal


@pytest.fixture
def stream(monkeypatch):
    """Where progress goes: a terminal, and at once."""
    monkeypatch.setattr("keras_rk.progress._AFTER", 0.0)
    monkeypatch.setattr("keras_rk.progress._EVERY", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    return writing_to(Terminal(), monkeypatch)


def writing_to(stderr, monkeypatch):
    """Another stream for the module alone: pytest sets that of all others between phases."""
    stand_in = types.SimpleNamespace(stderr=stderr, modules=sys.modules)
    monkeypatch.setattr("keras_rk.progress.sys", stand_in)
    return stderr


def notebook(monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_the_time_left_is_what_the_part_done_took(stream, monkeypatch):
    clock = types.SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("keras_rk.progress.time", clock)
    with Progress("working", 4) as progress:
        clock.monotonic = lambda: 90.0
        progress.step()
        time.sleep(0.05)
    assert "working: 25%, 1 min 30 s, 4 min 30 s left" in stream.getvalue()


def test_things_are_counted(stream):
    with Progress("working", 3, units="blocks") as progress:
        progress.step(2)
        time.sleep(0.05)
    assert "working: 2/3 blocks, 0 s, 0 s left" in stream.getvalue()
    assert stream.getvalue().endswith("\r\033[K")  # and the line is gone


def test_more_to_do_than_was_known(stream):
    progress = Progress("working", 2)
    progress.step(2)
    progress.ahead(3)
    assert (progress.done, progress.total) == (2, 5)
    progress.ahead(1)
    assert progress.total == 5


@pytest.mark.parametrize("verbose, end", [(0, ""), (1, "done, 0 s\n")])
def test_it_is_silent_when_told_and_stays_when_told(verbose, end, stream):
    with Progress("begun", verbose=verbose) as progress:
        progress.text = "done"
    assert stream.getvalue().endswith(end)
    assert bool(stream.getvalue()) == bool(end)


@pytest.mark.parametrize("verbose, said", [("auto", ""), (1, "begun: 100%, 0 s\n")])
def test_where_nobody_watches_it_is_silent_or_writes_whole_lines(
    verbose, said, stream, monkeypatch
):
    stream = writing_to(Terminal(is_terminal=False), monkeypatch)
    with Progress("begun", 1, verbose=verbose) as progress:
        progress.step()
    assert stream.getvalue() == said


def test_a_notebook_is_somebody(stream, monkeypatch):
    stream = writing_to(Terminal(is_terminal=False), monkeypatch)
    assert watched() == ""
    notebook(monkeypatch)
    assert watched() == "notebook"
    with Progress("begun"):
        time.sleep(0.05)
    written = stream.getvalue()
    assert written.startswith("\rbegun, 0 s")
    assert "\033" not in written
    assert written.endswith(f"\r{' ' * 79}\r")


@pytest.mark.parametrize("stderr", [None, types.SimpleNamespace()], ids=["none", "no stream"])
def test_a_stream_that_is_none_is_no_terminal(stderr, monkeypatch):
    writing_to(stderr, monkeypatch)
    assert watched() == ""
    with Progress("begun", verbose=1):
        pass


def test_it_ends_with_an_error(stream):
    progress = Progress("begun")
    with pytest.raises(KeyError), progress:
        raise KeyError
    assert not progress._thread.is_alive()


@pytest.mark.parametrize("verbose", ["loud", None, -1])
def test_verbose_is_checked(verbose):
    with pytest.raises(ValueError, match=r"`verbose` must be 0, 1 or 'auto'\. Received: "):
        Progress("begun", verbose=verbose)


def test_durations():
    assert [duration(x) for x in (0.4, 59.4, 59.6, 3599.4, 3600)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
    ]


def test_trees_are_counted():
    assert trees_up_to(9) == sum(plan(order).roots for order in range(1, 10))


@pytest.mark.parametrize("name", ["rk8", "dormand_prince54", "hairer10"])
def test_a_check_counts_its_trees(name, monkeypatch):
    """All of the claimed orders, and those of the next one up to the first that fails."""
    kept = []

    class Kept(Progress):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            kept.append(self)

    monkeypatch.setattr("keras_rk.proof.checker.Progress", Kept)
    monkeypatch.setattr("keras_rk.progress.watched", lambda: "terminal")
    assert check(name)
    (progress,) = kept
    # and those of order 7 again, where these decide how to go on
    assert progress.total <= progress.done <= progress.total + plan(7).roots + 20
    assert check(name, verbose=0).order == check(name).order
