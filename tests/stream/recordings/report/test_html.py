"""The report to look at: what it shows, and that a real browser shows it without a request."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from engines.runtime import OpenedRuntime
from run_pipeline import main
from stream.frame import Exemplar, Face, Frame, Patch, View
from stream.recordings.report.collector import CANDIDATES, MOMENTS, MOST_STEPS, ReportCollector
from stream.recordings.report.html import render, write_page
from stream.stages.exemplars.bank import Bank
from stream.telemetry.metrics import ENHANCED, FACES, FRAMES, Metrics
from stream.telemetry.report import Report, make_report
from tests.browser import chromium
from tests.fake_stages import use_fake_stages
from tests.fakes import BicubicRuntime
from tests.pictures import frame_of, hopper, scene_with_face
from tests.recording_files import write_recording

SIZE = (320, 180)
CENTER = (160.0, 90.0)


class KnownBank(Bank):
    """Has what it was given."""

    def __init__(self, exemplars: tuple[Exemplar, ...]) -> None:
        super().__init__()
        self.known = exemplars

    def exemplars_of(self, track_id: int) -> tuple[Exemplar, ...]:
        return self.known if track_id == 7 else ()


def shown(index: int, *, track: int = 7, width: float = 34.0, enhanced: bool = True) -> Frame:
    """A far face; where it is enhanced, the output has the sharp scene."""
    sharp = scene_with_face(4 * width, (4 * SIZE[0], 4 * SIZE[1]), (640.0, 360.0))
    image = np.asarray(cv2.resize(sharp, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    output = np.asarray(cv2.resize(image, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)
    if enhanced:
        output = np.asarray(cv2.resize(sharp, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)
    x, y, half = *CENTER, width / 2
    patch = Patch(image, (100, 30, 220, 150), 4) if enhanced else None
    box = np.array([x - half, y - half, x + half, y + half], np.float32)
    face = Face(track, box, np.zeros((6, 2), np.float32), 1.0, patch=patch)
    view = View((0.0, 0.0, float(SIZE[0]), float(SIZE[1])), (640, 360))
    return replace(frame_of(image, index, 10, (face,)), view=view, output=output)


@pytest.fixture(scope="module")
def collector() -> ReportCollector:
    """Two people; the first is far, with two close-ups."""
    image = np.asarray(cv2.resize(hopper()[60:412, 80:432], (256, 256)), np.uint8)
    known = tuple(Exemplar(image, 300, (0.0, 0.0), 0.3, at) for at in (0.5, 2.0))
    filled = ReportCollector(KnownBank(known))
    frames = [shown(index, enhanced=index > 30, width=34.0) for index in range(0, 100, 5)]
    for frame in frames:
        filled(frame)
    other = shown(100, track=9, enhanced=False)
    filled(other)
    return filled


@pytest.fixture(scope="module")
def report() -> Report:
    metrics = Metrics()
    for name, number in ((FRAMES, 101), (FACES, 101), (ENHANCED, 70)):
        metrics.count(name, number)
    metrics.record("enhancer", 20.0)
    return make_report(
        metrics, duration_s=12.0, exemplars=2, input_name="<b>call.mp4", output_name="o.mp4",
        opened=OpenedRuntime("onnxruntime-cpu", BicubicRuntime(4)),
    )  # fmt: skip


def test_moments_are_those_that_gained(collector: ReportCollector) -> None:
    moments = collector.moments
    assert 2 <= len(moments) <= MOMENTS
    assert [one.time_s for one in moments] == sorted(one.time_s for one in moments)
    for one in moments:
        assert one.person == 7
        assert one.time_s > 3.0
        assert one.gain > 1.2
        before, after = (
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            for data in (one.before, one.after)
        )
        assert before is not None
        assert after is not None
        assert before.shape == after.shape
        # Of the same place: shrunk, they are alike.
        small = [cv2.resize(p, (16, 16), interpolation=cv2.INTER_AREA) for p in (before, after)]
        assert np.abs(small[0].astype(int) - small[1]).mean() < 6


def test_the_timeline_and_its_memory_are_bounded(collector: ReportCollector) -> None:
    assert list(collector.timeline) == [7, 9]
    steps = collector.timeline[7]
    assert sum(one.frames for one in steps.values()) == 20
    assert sum(one.enhanced for one in steps.values()) == 13
    assert all(one.width_px == pytest.approx(34.0) for one in steps.values())
    long = ReportCollector(Bank())
    frame = shown(0)
    for index in range(0, 36_000, 40):
        long(replace(frame, index=index, pts=index))
    assert max(long.timeline[7]) < MOST_STEPS
    assert sum(one.frames for one in long.timeline[7].values()) == 900
    assert len(long._candidates) <= CANDIDATES


def test_nothing_of_it_is_loaded_or_run(collector: ReportCollector, report: Report) -> None:
    page = render(report, collector)
    assert "&lt;b&gt;call.mp4" in page
    assert "<b>call" not in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "url(" not in page
    assert page.count("data:image/jpeg") == 2 * len(collector.moments) + 2
    assert page.count("<img") == len(re.findall(r'<img [^>]*alt="[^"]{10,}"', page))


def test_a_real_browser_shows_it(
    collector: ReportCollector, report: Report, tmp_path: Path
) -> None:
    path = chromium()
    write_page(tmp_path / "look", report, collector)
    from playwright.sync_api import sync_playwright

    address = (tmp_path / "look" / "index.html").as_uri()
    backs = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            schemes: tuple[tuple[Literal["light", "dark"], int], ...]
            schemes = (("light", 1200), ("dark", 390))
            for scheme, width in schemes:
                screen: Any = {"width": width, "height": 900}
                page: Any = browser.new_page(color_scheme=scheme, viewport=screen)
                asked: list[str] = []
                said: list[str] = []
                page.on("request", lambda one, to=asked: to.append(one.url))
                page.on("console", lambda one, to=said: to.append(one.text))
                page.on("pageerror", lambda one, to=said: to.append(str(one)))
                page.goto(address)
                assert [one for one in asked if not one.startswith("data:")] == [address]
                assert said == []
                widths = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
                assert len(widths) == 2 * len(collector.moments) + 2
                assert min(widths) > 100
                inner = page.evaluate("document.documentElement.scrollWidth")
                assert inner <= width
                headings = page.locator("h1, h2").all_inner_texts()
                assert headings[1:] == ["Before and after", "Timeline", "Close-ups", "The run"]
                assert page.get_by_role("img", name="Width of each face over time").count() == 1
                assert page.locator("polyline").count() >= 1
                page.get_by_text("The same as a table").click()
                assert page.get_by_role("cell", name="Person 1", exact=True).is_visible()
                backs.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                page.close()
        finally:
            browser.close()
    assert backs[0] != backs[1]


def test_the_command_line_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_fake_stages(monkeypatch)
    call, look = tmp_path / "call.mp4", tmp_path / "look"
    write_recording(call)
    arguments = ["--input", str(call), "--output", str(tmp_path / "o.mp4"), "--report", str(look)]
    assert main(arguments) == 0
    assert {one.name for one in look.iterdir()} == {"index.html", "report.json"}
    assert json.loads((look / "report.json").read_text(encoding="utf-8"))["faces_enhanced"] == 10
    assert "Timeline" in (look / "index.html").read_text(encoding="utf-8")
    (tmp_path / "o.mp4").unlink()
    capsys.readouterr()
    assert main(arguments) == 2
    assert "index.html exists already" in capsys.readouterr().err
    assert not (tmp_path / "o.mp4").exists()
    assert main(["--input", "webcam", "--report", str(look)]) == 2
    assert "only figures" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


def test_a_recording_without_a_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_stages(monkeypatch, face=False)
    write_recording(tmp_path / "call.mp4")
    arguments = ["--input", tmp_path / "call.mp4", "--output", tmp_path / "o.mp4", "--report",
                 tmp_path / "look"]  # fmt: skip
    assert main([str(one) for one in arguments]) == 0
    page = (tmp_path / "look" / "index.html").read_text(encoding="utf-8")
    assert "No face was found" in page
    assert "<img" not in page
