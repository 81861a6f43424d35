"""Timeline: face sizes over time, and what was enhanced, as a drawing in SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stream.recordings.report.collector import ReportCollector, Step

WIDTH, HEIGHT = 1000, 220
LEFT, TOP, RIGHT = 46, 10, 976
LANE, LANE_GAP = 10, 5
COLOURS = 6
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
SIZES_PX = (10, 20, 25, 50, 100, 200, 250, 500, 1000)


def clock(seconds: float) -> str:
    """1:05, 1:00:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def colour(number: int) -> str:
    """Of the person with this number, from 0: a name of the style."""
    return f"var(--p{number % COLOURS + 1})"


def draw(collector: ReportCollector) -> str:
    """The SVG."""
    steps = [one for person in collector.timeline.values() for one in person.values()]
    widest = max(one.width_px for one in steps)
    number = max(max(person) for person in collector.timeline.values()) + 1
    across = (RIGHT - LEFT) / number
    bottom = TOP + HEIGHT
    lanes = len(collector.timeline) * (LANE + LANE_GAP)
    whole = bottom + 12 + lanes + 22
    parts = list(_grid(widest, number * collector.step_s, bottom, whole))
    for person, (_, seen) in enumerate(collector.timeline.items()):
        paint = colour(person)
        for run in _runs(seen):
            places = [
                (LEFT + (at + 0.5) * across, bottom - seen[at].width_px / widest * HEIGHT)
                for at in run
            ]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline class="size" stroke="{paint}" points="{points}"/>')
        top = bottom + 12 + person * (LANE + LANE_GAP)
        sharp = {at: one for at, one in seen.items() if 2 * one.enhanced >= one.frames}
        for kind, some in (("seen", seen), ("sharp", sharp)):
            for run in _runs(some):
                x, wide = LEFT + run[0] * across, max(1.0, len(run) * across)
                parts.append(
                    f'<rect class="{kind}" fill="{paint}" x="{x:.1f}" y="{top}" '
                    f'width="{wide:.1f}" height="{LANE}" rx="2"/>'
                )
    told = "Width of each face over time; the table below says the same"
    return (
        f'<svg viewBox="0 0 {WIDTH} {whole}" role="img" aria-label="{told}">{"".join(parts)}</svg>'
    )


def _grid(widest: float, duration_s: float, bottom: int, whole: int) -> Iterator[str]:
    step = next((one for one in SIZES_PX if widest / one <= 4), SIZES_PX[-1])
    for size in range(0, int(widest) + 1, step):
        y = bottom - size / widest * HEIGHT
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{size} px</text>'
    tick = next((one for one in TICKS_S if duration_s / one <= 10), TICKS_S[-1])
    for at in range(0, int(duration_s) + 1, tick):
        x = LEFT + at / duration_s * (RIGHT - LEFT)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{whole - 6}" text-anchor="middle">{clock(at)}</text>'


def _runs(steps: Mapping[int, Step]) -> Iterator[list[int]]:
    """Numbers that follow each other, together."""
    run: list[int] = []
    for at in sorted(steps):
        if run and at != run[-1] + 1:
            yield run
            run = []
        run.append(at)
    if run:
        yield run
