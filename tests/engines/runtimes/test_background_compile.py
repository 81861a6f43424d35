"""BackgroundCompiler: sizes are made ready in the order of the wishes, errors are kept, closing
waits."""

from __future__ import annotations

import threading

from engines.runtimes.background_compile import BackgroundCompiler

PATIENCE_S = 60.0
"""Against hanging alone."""


class Maker:
    """Makes a size when it is let."""

    def __init__(self) -> None:
        self.go, self.begun = threading.Event(), threading.Event()
        self.made: list[int] = []
        self.names: set[str] = set()
        self.compiler = BackgroundCompiler(self.make)

    def make(self, size: int) -> None:
        self.begun.set()
        assert self.go.wait(PATIENCE_S)
        if size == 13:
            raise OSError("no such size")
        self.names |= {threading.current_thread().name, self.compiler.behind(self.behind)}
        self.made.append(size)

    def behind(self) -> str:
        return threading.current_thread().name


def test_each_wish_once_and_in_order() -> None:
    maker = Maker()
    for size in (32, 13, 64, 32, 64):
        maker.compiler.want(size)
    assert maker.begun.wait(PATIENCE_S)
    maker.go.set()
    end = threading.Event()
    while maker.made != [32, 64]:
        assert not end.wait(0.01)
    assert maker.compiler.failed(13)
    assert not maker.compiler.failed(64)
    assert maker.names == {"closeup compiler_0", "closeup behind_0"}
    maker.compiler.close()
    maker.compiler.close()


def test_closing_waits_for_what_is_under_way_and_begins_nothing_more() -> None:
    before = set(threading.enumerate())
    maker = Maker()
    maker.compiler.want(32)
    maker.compiler.want(64)
    assert maker.begun.wait(PATIENCE_S)
    timer = threading.Timer(0.2, maker.go.set)
    timer.start()
    maker.compiler.close()
    timer.join()
    assert maker.made == [32]
    maker.compiler.want(48)
    assert maker.made == [32]
    assert set(threading.enumerate()) == before


def test_who_wants_nothing_has_no_thread() -> None:
    before = threading.active_count()
    compiler = Maker().compiler
    assert threading.active_count() == before
    compiler.close()
