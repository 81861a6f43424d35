"""Which pictures the relay's page takes for new: its own script, in Chromium, whose time is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import browser, write_clip
from tests.pictures import backdrop
from tests.places import ROOT

SCRIPT = ROOT / "stream" / "rtc" / "page" / "freshness.js"
CLOCK_HZ, WRAPS = 90_000, 1 << 32
SHOWN = """(pictures) => {
  let now = 0, note;
  performance.now = () => now;
  const video = { videoWidth: 0, requestVideoFrameCallback: (one) => { note = one; } };
  const freshness = new Freshness(video, document.createElement("canvas"));
  return pictures.map(([stamp, at]) => {
    now = at;
    note(0, { rtpTimestamp: stamp });
    return freshness.shown === stamp;
  });
}"""
"""Of a <video> that shows these (RTP timestamp, when, ms): whether each counts as newly shown."""
COVERED = """([before, after]) => {
  let now = 0, note;
  performance.now = () => now;
  const drawable = document.createElement("canvas");
  const video = Object.assign(drawable, { videoWidth: 2, videoHeight: 2 });
  video.requestVideoFrameCallback = (one) => { note = one; };
  const cover = Object.assign(document.createElement("canvas"), { hidden: true });
  const freshness = new Freshness(video, cover);
  const show = ([stamp, at]) => {
    now = at;
    note(0, { rtpTimestamp: stamp });
    return !cover.hidden;
  };
  const see = (seen) => {
    Object.defineProperty(document, "hidden", { value: !seen, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  };
  before.forEach(show);
  see(false);
  see(true);
  return after.map(show);
}"""
"""Of a page that nobody sees for a while: whether the <video> is covered after each picture."""
USUAL_MS = 100.0
Pictures = list[tuple[float, float]]
"""When each was taken and when it is there, ms."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    clip = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_clip(clip, lambda index: backdrop((64, 48)), 2)
    with browser(clip) as chrome:
        one = chrome.new_page()
        one.add_script_tag(content=f"{SCRIPT.read_text()}\nwindow.Freshness = Freshness;")
        yield one


def steady(first_ms: float, seconds: float, rate: float, way_ms: float = USUAL_MS) -> Pictures:
    taken = [first_ms + 1000.0 * k / rate for k in range(round(seconds * rate))]
    return [(one, one + way_ms) for one in taken]


def stamped(pictures: Pictures, clock_ms: float = 0.0) -> list[tuple[int, float]]:
    """Args: clock_ms: what the sender's clock says at 0."""
    return [
        (round((taken + clock_ms) * CLOCK_HZ / 1000) % WRAPS, there) for taken, there in pictures
    ]


def shown(page: Any, pictures: Pictures, clock_ms: float = 0.0) -> list[bool]:
    found: list[bool] = page.evaluate(SHOWN, stamped(pictures, clock_ms))
    return found


@pytest.mark.parametrize("rate", [1.0, 15.0, 60.0])
def test_what_comes_in_time_is_shown_at_any_rate(page: Any, rate: float) -> None:
    # The clock wraps on the way.
    assert all(shown(page, steady(0, 20, rate), WRAPS / CLOCK_HZ * 1000 - 5000))


@pytest.mark.parametrize("still_s", [3.0, 7.5, 10.0, 30.0])
def test_what_waited_behind_a_standstill_is_not_shown_however_long_it_took(
    page: Any, still_s: float
) -> None:
    """Everything that was sent meanwhile comes at once when the way is open again."""
    before, after_ms = steady(0, 10, 15), 10_000 + 1000 * still_s
    waited = [(taken, after_ms + k) for k, (taken, _) in enumerate(steady(10_000, still_s, 15))]
    found = shown(page, [*before, *waited, *steady(after_ms + 500, 5, 15)])
    old = [there - taken > 1000 + USUAL_MS for taken, there in waited]
    assert found[: len(before)] == [True] * len(before)
    assert found[len(before) : len(before) + len(old)] == [not one for one in old]
    assert all(found[len(before) + len(old) :])


@pytest.mark.parametrize("still_s", [0.0, 12.0])
def test_a_way_that_stays_longer_is_believed_after_eight_seconds(page: Any, still_s: float) -> None:
    before = steady(0, 10, 15)
    later = steady(10_000 + 1000 * still_s, 12, 15, USUAL_MS + 1500)
    found = shown(page, [*before, *later])[len(before) :]
    first = found.index(True)
    assert first == pytest.approx(8 * 15, abs=2)
    assert all(found[first:])


@pytest.mark.parametrize("by_ms", [-3_600_000.0, -20_000.0, 20_000.0, 3_600_000.0])
def test_another_clock_of_the_sender_hides_nothing(page: Any, by_ms: float) -> None:
    """Somebody else publishes under the name, or a player went elsewhere in its file."""
    moved = [(taken + by_ms, there) for taken, there in steady(10_000, 10, 15)]
    assert all(shown(page, [*steady(0, 10, 15), *moved], 4_000_000))


def test_a_page_that_is_seen_again_shows_no_old_picture(page: Any) -> None:
    """Its <video> has one already when the page learns of it."""
    late = [(38_000.0 + 100 * k, 40_000.0 + 20 * k) for k in range(20)]
    pictures = [*late, *steady(41_000, 1, 15)]
    found = page.evaluate(COVERED, [stamped(steady(0, 10, 15)), stamped(pictures)])
    old = sum(there - taken > 1000 + USUAL_MS for taken, there in late)
    assert all(found[:old])
    assert not any(found[-15:])
