"""Options of the picture, the same in recordings, calls, the relay, its page and the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from stream.declared_option import ALL, RECORDINGS, DeclaredOption

GROUP = "the picture"
Speed = Literal["best", "fast"]
ENLARGED_UP_TO_PX = 720
"""A recording whose shorter side is at most this is enlarged twice by default."""

FRAMING = DeclaredOption[Literal["auto", "fixed"]](
    name="framing",
    help="auto: a virtual camera follows the people (for cameras and demo); fixed: the whole "
    "picture (for recordings)",
    default="auto",
    choices=("auto", "fixed"),
    uses=ALL,
    group=GROUP,
)
SCALE = DeclaredOption[float | None](
    name="scale",
    kind=float,
    help="with fixed framing: canvas {least} to {most} times larger (2 for recordings up to "
    f"{ENLARGED_UP_TO_PX} lines, else 1)",
    default=None,
    least=1.0,
    most=4.0,
    metavar="N",
    uses=RECORDINGS | {"call"},
    group=GROUP,
)
API_SCALE = replace(SCALE, default=1.0, least=0.25, most=8.0, uses=frozenset(("api",)))
"""A program may also make the picture smaller, and has no canvas that must fit players."""
RATE = DeclaredOption[float](
    name="rate",
    kind=float,
    help="nominal pictures a second, {least} to {most} ({default})",
    default=30.0,
    least=1.0,
    most=1000.0,
    uses=frozenset(("api",)),
    group=GROUP,
)
STRENGTH = DeclaredOption[float](
    name="strength",
    kind=float,
    help="how much of the enhanced face is shown, {least} to {most} (default {default})",
    default=1.0,
    least=0.0,
    most=1.0,
    metavar="S",
    uses=ALL,
    group=GROUP,
)
DETAIL = DeclaredOption[float](
    name="detail",
    kind=float,
    help="how much fine detail is shown, {least} to {most}: 0 what is surest, 1 about as sharp as "
    "the truth (default {default})",
    default=0.65,
    least=0.0,
    most=1.0,
    metavar="D",
    uses=ALL,
    group=GROUP,
)
SPEED = DeclaredOption[Speed](
    name="speed",
    help="fast: a smaller network (see --network) in every other picture, whose detail is carried "
    "along the motion; in every one where that would be seen (default {default})",
    default="best",
    choices=("best", "fast"),
    uses=RECORDINGS | {"api"},
    group=GROUP,
    instead={"call": "a call gives way by itself where the machine is too slow"},
)
SLIDERS = (STRENGTH, DETAIL)
"""What a running call lets people change, by the page's sliders and the window's keys."""
