"""HTML: the report to look at: one HTML file without a script that loads nothing from anywhere."""

from __future__ import annotations

import base64
import json
import os
from contextlib import ExitStack
from html import escape
from pathlib import Path

from engines.files import replacing
from stream.errors import OutputError
from stream.media.sinks.file_sink import check_place
from stream.recordings.report.collector import Moment, ReportCollector
from stream.recordings.report.timeline import clock, colour, draw
from stream.telemetry.report import Report, network_line

STYLE = Path(__file__).with_name("page.css")
PAGE, FIGURES = "index.html", "report.json"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def check_page(folder: Path, overwrite: bool) -> None:
    """Whether a page can be written there, before any work is done.

    Raises: OutputError: it exists, the folder above is missing or closed to us.
    """
    if os.path.isdir(folder):
        for name in (PAGE, FIGURES):
            check_place(folder / name, overwrite)
    elif os.path.exists(folder):
        raise OutputError(f"{folder} is a file; give --report a folder, or a name with .json")
    else:
        check_place(folder, overwrite)


def write_page(folder: Path, report: Report, collector: ReportCollector) -> None:
    """Write the page and the figures; each is there completely or not at all.

    Args:   folder: made where it is not there; what contains it must be. report: the figures.
            collector: the pictures.
    Raises: OutputError: they cannot be written.
    """
    texts = {FIGURES: json.dumps(report, indent=2) + "\n", PAGE: render(report, collector)}
    try:
        folder.mkdir(exist_ok=True)
        with ExitStack() as stack:
            for name, text in texts.items():
                part = stack.enter_context(replacing(folder / name))
                part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error


def render(report: Report, collector: ReportCollector) -> str:
    """The page."""
    name = escape(Path(report["input"]).name)
    parts = [
        f"<header><h1>{name}</h1><p>{_verdict(report)}</p>{_figures(report, collector)}"
        "</header><main>",
        _moments(collector),
        _timeline(collector),
        _closeups(collector),
        _work(report),
        '</main><footer class="soft"><p>This page shows faces, because it was asked for: give it '
        "to nobody who should not see them. It loads nothing and sends nothing.</p></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{name}: Closeup</title>\n"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _verdict(report: Report) -> str:
    if not report["faces_seen"]:
        return "No face was found. The recording was passed through as it is."
    if not report["faces_enhanced"]:
        return "Every face was large and sharp enough already. None was changed."
    part = report["faces_enhanced"] / report["faces_seen"]
    closeups = f"{report['exemplars']:,} close-up{'' if report['exemplars'] == 1 else 's'}"
    return (
        f"Of the faces in {report['frames']:,} pictures, {part:.0%} were far away and drawn sharp, "
        f"with {closeups} to look at. The others were left as they are."
    )


def _figures(report: Report, collector: ReportCollector) -> str:
    rows = [
        ("length", clock(collector.duration_s)),
        ("pictures", f"{report['frames']:,}"),
        ("faces seen", f"{report['faces_seen']:,}"),
        ("of them enhanced", f"{report['faces_enhanced']:,}"),
        ("people", f"{len(collector.timeline)}"),
        ("close-ups taken", f"{report['exemplars']}"),
        ("time it took", clock(report["duration_s"])),
        ("pictures a second", f"{report['fps']:.1f}"),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f'<dl class="figures">{cells}</dl>'


def _moments(collector: ReportCollector) -> str:
    if not collector.moments:
        return ""
    figures = "".join(_moment(one, collector) for one in collector.moments)
    return (
        '<section aria-labelledby="moments"><h2 id="moments">Before and after</h2>'
        '<p class="soft">The moments that gained most fine detail. Both are enlarged alike: left '
        "the recording, right what was written.</p>"
        f'<div class="moments">{figures}</div></section>'
    )


def _moment(moment: Moment, collector: ReportCollector) -> str:
    who = f"Person {collector.name_of(moment.person)}"
    told = f"{who} at {clock(moment.time_s)}"
    return (
        '<figure><div class="pair">'
        f"<span>{_image(moment.before, f'{told}, as recorded')}<b>before</b></span>"
        f"<span>{_image(moment.after, f'{told}, enhanced')}<b>after</b></span></div>"
        f"<figcaption>{who} · {clock(moment.time_s)} · face {moment.width_px:.0f} px wide · "
        f"{moment.gain:.1f} × the detail</figcaption></figure>"
    )


def _timeline(collector: ReportCollector) -> str:
    if not collector.timeline:
        return ""
    legend = "".join(
        f'<li><i style="background:{colour(number)}"></i>Person {number + 1}</li>'
        for number in range(len(collector.timeline))
    )
    rows = []
    for number, steps in enumerate(collector.timeline.values(), 1):
        frames = sum(one.frames for one in steps.values())
        widths = [one.width_px for one in steps.values()]
        enhanced = sum(one.enhanced for one in steps.values()) / frames
        first, last = (clock(at * collector.step_s) for at in (min(steps), max(steps) + 1))
        rows.append(
            f"<tr><td>Person {number}</td><td>{first} to {last}</td><td>{min(widths):.0f} to "
            f"{max(widths):.0f} px</td><td>{enhanced:.0%}</td></tr>"
        )
    return (
        '<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>'
        '<p class="soft">How wide each face is in the recording; below, a bar wherever it was '
        "seen, strong where it was enhanced.</p>"
        f'<ul class="legend">{legend}</ul><div class="scroll" tabindex="0" role="group" '
        f'aria-label="timeline">{draw(collector)}</div>'
        "<details><summary>The same as a table</summary><table><thead><tr>"
        '<th scope="col">who</th><th scope="col">seen</th><th scope="col">width of the face</th>'
        f'<th scope="col">enhanced</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</details></section>"
    )


def _closeups(collector: ReportCollector) -> str:
    people = []
    for number, person in enumerate(collector.timeline, 1):
        kept = sorted(collector.closeups.get(person, {}).items())
        if not kept:
            continue
        items = "".join(
            f"<li>{_image(data, f'Close-up of person {number} at {clock(at)}')}{clock(at)}</li>"
            for at, data in kept
        )
        people.append(f'<h3>Person {number}</h3><ul class="closeups">{items}</ul>')
    if not people:
        return ""
    return (
        '<section aria-labelledby="closeups"><h2 id="closeups">Close-ups</h2>'
        '<p class="soft">What the far faces were drawn with: the same people, nearer, and when.'
        f"</p>{''.join(people)}</section>"
    )


def _work(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{times[key]:.1f}</td>" for key in ("p50_ms", "p95_ms", "p99_ms"))
        + "</tr>"
        for name, times in report["stages"].items()
    )
    runtime = f" The {escape(line)}." if (line := network_line(report)) else ""
    written = escape(Path(report["output"]).name)
    return (
        '<section aria-labelledby="work"><h2 id="work">The run</h2>'
        f'<p class="soft">Written to {written}.{runtime} All figures are in {FIGURES}, too.</p>'
        "<table><caption>Time of each part for one picture, ms</caption><thead><tr>"
        '<th scope="col">part</th><th scope="col">median</th><th scope="col">95 %</th>'
        f'<th scope="col">99 %</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _image(data: bytes, told: str) -> str:
    source = base64.b64encode(data).decode()
    return f'<img src="data:image/jpeg;base64,{source}" alt="{escape(told)}">'
