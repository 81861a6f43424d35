"""CloseUpCollector: looks through recordings, or a camera's picture, for somebody's close-ups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path

import cv2
import numpy as np

from stream.errors import ConfigError, heed
from stream.events import EventLog
from stream.frame import Exemplar, Floats, Frame, Image
from stream.graph import Stages
from stream.image.headshot import EXEMPLAR_SIDE_PX
from stream.known_people.known_person import MOST_CLOSE_UPS, KeptCloseUp
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.devices import Device, device_named
from stream.recordings.learning_watch import QUIT
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people_learning import LEAST_SIDE_PX
from stream.session import EnhancementSession
from stream.stages.tracking.face_detector import FaceDetector
from stream.telemetry.keys import Keys
from stream.telemetry.progress import MakeMeter

AS_LONG = 0.6
"""Somebody else who was seen for this share of the longest may be the one who is meant."""
WATCH_S = 60.0
"""A camera is watched so long, unless there are enough close-ups before."""
ENOUGH = 24
OFF_CENTRE_PX = 40.0
"""A face that is detected further from the middle of its close-up is another one."""


class CloseUpCollector:
    """Args: meter: is told of every frame. say: gets a line for what the user should do."""

    def __init__(self, meter: MakeMeter, say: Callable[[str], None]) -> None:
        self._meter = meter
        self._say = say

    def collect(self, name: str) -> list[KeptCloseUp]:
        """Close-ups of the person who is seen longest; the caller's to wipe.

        Args:   name: a recording, or a camera as `device_named` knows it.
        Raises: ConfigError: two people are seen about as long, or nobody is close.
                CloseupError: it cannot be read, or the face detector cannot be had.
        """
        device = device_named(name)
        with PersonIndex(capacity=MOST_CLOSE_UPS) as index:
            if device is not None:
                self._watch(device, index)
                day = date.today()
            else:
                path = Path(name)
                self._read(path, index)
                with suppress(OSError):
                    day = date.fromtimestamp(path.stat().st_mtime)
            exemplars = index.finish()
            seen = index.pictures_of()
            if not seen:
                raise ConfigError(f"no face was found in {name}")
            longest = max(seen, key=lambda one: seen[one])
            others = [one for one, count in seen.items() if count >= AS_LONG * seen[longest]]
            if len(others) > 1:
                raise ConfigError(
                    f"{len(others)} people are seen about as long in {name}; give one that shows "
                    "the person alone, or much longer than others"
                )
            kept = [one for one in exemplars[longest].all() if one.side_px >= LEAST_SIDE_PX]
            return _with_keypoints(kept, day.isoformat())

    def _read(self, path: Path, index: PersonIndex) -> None:
        with open_source(path) as source:
            progress = self._meter(source.frames_total, label=f"looking through {path.name}: ")
            try:
                for frame in _with_faces(source):
                    index.see(frame)
                    progress.advance()
            finally:
                progress.finish()

    def _watch(self, device: Device, index: PersonIndex) -> None:
        """Until there are enough, for `WATCH_S`, or until `q` or Ctrl-C."""
        self._say("sit close to the camera and turn your head a little; q or Ctrl-C ends it")
        with CameraSource(device, self._say) as camera, Keys() as keys:
            progress = self._meter(ENOUGH, label="watching: ", unit="close-ups")
            end_s = time.monotonic() + WATCH_S
            try:
                for frame in _with_faces(camera):
                    index.see(frame)
                    progress.reach(min(index.harvested, ENOUGH))
                    enough = index.harvested >= ENOUGH or time.monotonic() >= end_s
                    if enough or keys.pressed() == QUIT:
                        break
            except KeyboardInterrupt as interrupt:
                heed(interrupt)
            finally:
                progress.finish()


def _with_faces(source: Iterable[Frame]) -> Iterable[Frame]:
    events = EventLog()
    session = EnhancementSession(Stages([Stages.tracker(events)], events=events))
    try:
        for frame in source:
            yield session.process(frame)
    finally:
        session.close()


def _with_keypoints(exemplars: Iterable[Exemplar], day: str) -> list[KeptCloseUp]:
    """Copies, with where the face is in them; those in which no face is found again are left out.

    Raises: ModelError: the detector's models cannot be had.
    """
    detector = FaceDetector()
    kept = []
    try:
        for one in exemplars:
            keypoints = _keypoints(detector, one.image)
            if keypoints is not None:
                image = one.image.copy()
                kept.append(
                    KeptCloseUp(image, keypoints, day, one.side_px, one.pose, one.sharpness)
                )
    finally:
        detector.close()
    return kept


def _keypoints(detector: FaceDetector, close_up: Image) -> Floats | None:
    """float32 (6, 2), px of the close-up."""
    # with room around it: the detector knows heads in a picture, not pictures of a head
    border = EXEMPLAR_SIDE_PX // 2
    framed = cv2.copyMakeBorder(close_up, border, border, border, border, cv2.BORDER_REFLECT)
    middle = EXEMPLAR_SIDE_PX
    for found in detector.detect(np.asarray(framed, np.uint8)):
        x, y = (found.box[:2] + found.box[2:]) / 2.0
        if max(abs(x - middle), abs(y - middle)) <= OFF_CENTRE_PX:
            return np.asarray(found.keypoints, np.float32) - np.float32(border)
    return None
