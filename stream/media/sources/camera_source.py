"""CameraSource: the newest picture of a camera, also after it was unplugged and comes back.

A thread of its own reads the camera, because a call into a driver may hang for ever. It keeps the
newest picture alone. When the camera fails or falls silent, the source says so once and tries to
open it again and again, with growing pauses, until it is back or the source is stopped.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Self

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.errors import one_line
from stream.errors import InputError
from stream.frame import Frame, Image
from stream.link import LinkClosedError
from stream.media.pyav import exact
from stream.media.retry_pauses import SERVER_MOST_S, RetryPauses
from stream.media.sources.devices import Device, cameras_found
from stream.media.sources.live_reader import LiveReader
from stream.media.stream_address import StreamAddress

OPEN_S = 15.0
"""Some cameras take seconds until their first picture, none so long."""
SILENT_S = 4.0
"""A camera that sends nothing for so long is lost; in the dark they slow down to 5 a second."""
DAMAGED_MOST = 60
"""So many pictures in a row that cannot be decoded are no accident of the cable any more."""
GONE = (errno.ENODEV, errno.ENXIO, errno.EIO)


class CameraSource:
    """A camera. A context manager; iterate once; `stop` ends the iteration from any thread.

    Args:   device: from `device_named`; or a stream on a server.
            say: gets one line when the camera is lost and one when it is back.
            open_reader: opens it, each time; left out, as a camera.
    Raises: InputError: it is absent, busy, closed to us, or gives no picture; with the way out.
    """

    live = True
    frames_total = None
    time_base = Fraction(1, 90_000)

    def __init__(
        self,
        device: Device | StreamAddress,
        say: Callable[[str], None] = lambda line: None,
        open_reader: Callable[[], LiveReader] | None = None,
    ) -> None:
        if open_reader is None:
            assert isinstance(device, Device), "a stream has a reader of its own"
            open_reader = partial(_CameraReader, device)
        self._say, self._open_reader = say, open_reader
        self._kind = "camera" if isinstance(device, Device) else "stream"
        self._stopped = threading.Event()
        self._reader = open_reader()
        try:
            first = self._reader.pictures.get(OPEN_S)
        except TimeoutError as error:
            self.close()
            way_out = "; unplug it and plug it in again" if self._kind == "camera" else ""
            raise InputError(f"{device.name} gives no picture{way_out}") from error
        except LinkClosedError as error:
            raise InputError(f"{device.name} has no picture") from error
        except BaseException:  # Ctrl-C
            self.close()
            raise
        self._first: tuple[Image, int] | None = first
        self.height, self.width = first[0].shape[:2]
        self.rate = self._reader.rate
        self.has_sound = self._reader.has_sound
        self._started_ns = first[1]
        self.reconnected = 0
        """How often the camera came back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The newest picture each time, its pts by the clock, until `stop`."""
        index, last_pts = 0, -1
        while not self._stopped.is_set():
            taken = self._next()
            if taken is None:
                return
            image, captured_ns = taken
            if image.shape != (self.height, self.width, 3):
                # The same camera in another mode: every part behind was built for one size.
                resized = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
                image = np.asarray(resized, np.uint8)
            elapsed = Fraction(captured_ns - self._started_ns, 1_000_000_000)
            last_pts = max(last_pts + 1, round(elapsed / self.time_base))
            yield Frame(image, index, last_pts, self.time_base, captured_ns)
            index += 1

    def stop(self) -> None:
        """Let the iteration end soon. May be called again, from any thread."""
        self._stopped.set()
        self._reader.leave()

    def close(self) -> None:
        """Give the camera back. May be called again."""
        self.stop()
        # A driver that hangs must not hold us; its thread is a daemon.
        self._reader.thread.join(2.0)

    def _next(self) -> tuple[Image, int] | None:
        first, self._first = self._first, None
        # Opening the rest may have taken long since then.
        if first is not None and time.monotonic_ns() - first[1] < 1e9 / self.rate:
            return first
        try:
            return self._reader.pictures.get(SILENT_S)
        except LinkClosedError:
            return None  # stopped, or a made-up picture that has an end
        except TimeoutError:
            return self._reconnect("sends no pictures")
        except InputError as error:
            return self._reconnect(str(error))

    def _reconnect(self, why: str) -> tuple[Image, int] | None:
        """Wait until the camera is back; None when stopped meanwhile."""
        self._say(f"the {self._kind} is lost ({why}); waiting for it")
        pauses = RetryPauses() if self._kind == "camera" else RetryPauses(SERVER_MOST_S)
        self._reader.leave()
        while not self._stopped.wait(pauses.next_s()):
            if self._reader.thread.is_alive():
                continue  # still inside the driver, which would call us busy ourselves
            self._reader = self._open_reader()
            if self._stopped.is_set():  # meanwhile, when the reader before was left
                break
            try:
                picture = self._reader.pictures.get(OPEN_S)
            except (InputError, LinkClosedError):
                continue
            except TimeoutError:
                self._reader.leave()
                continue
            self.reconnected += 1
            self._say(f"the {self._kind} is back")
            return picture
        self._reader.leave()
        return None


class _CameraReader(LiveReader):
    """One opening of a camera."""

    def __init__(self, device: Device) -> None:
        self.device = device
        super().__init__("closeup camera")

    def _read(self) -> None:
        container, stream = open_camera(self.device)
        self.rate = _plausible_rate(stream)
        try:
            self._take_all(container, stream)
        except (FFmpegError, OSError) as error:
            raise camera_error(self.device, error) from error
        finally:
            container.close()

    def _take_all(self, container: InputContainer, stream: VideoStream) -> None:
        started_ns = time.monotonic_ns()
        for decoded in _pictures(container, stream, self._left.is_set):
            if self.device.generated and decoded.time is not None:
                due_s = decoded.time - (time.monotonic_ns() - started_ns) / 1e9
                if self._left.wait(max(due_s, 0.0)):
                    return
            captured_ns = time.monotonic_ns()
            image = np.asarray(decoded.to_ndarray(format="rgb24"), np.uint8)
            self.pictures.put((image, captured_ns))
        if self.device.generated:
            self.pictures.close()
        else:
            self.pictures.close(InputError("it was unplugged"))


def open_camera(device: Device) -> tuple[InputContainer, VideoStream]:
    """Open a camera in the best mode that it has.

    Raises: InputError: see `camera_error`.
    """
    refused: Exception | None = None
    for mode in device.modes:
        try:
            container = av.open(_address(device), format=device.format, options=dict(mode))
        except (FFmpegError, OSError, ValueError) as error:
            # Another mode helps only where this one was refused, not where the camera is.
            if isinstance(error, PermissionError | FileNotFoundError) or _is_busy(error):
                raise camera_error(device, error) from error
            refused = error
            continue
        if container.streams.video:
            return container, container.streams.video[0]
        container.close()
    raise camera_error(device, refused) from refused


def camera_error(device: Device, error: Exception | None) -> InputError:
    """What went wrong with a camera, and what to do about it, in one line."""
    name = device.name if device.address in device.name else f"{device.name} ({device.address})"
    if device.generated:
        return InputError(f"{name} is not a picture that FFmpeg can make ({_reason(error)})")
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, PermissionError):
        return InputError(
            f"{name} may not be used: permission denied; on Linux join the group of cameras (sudo "
            "usermod -aG video $USER) and log in again, elsewhere allow it in the privacy settings"
        )
    if _is_busy(error):
        return InputError(f"{name} is used by another program; close the other call or browser tab")
    if isinstance(error, FileNotFoundError) or number in GONE:
        others = ", ".join(one for one in cameras_found() if one != device.address)
        way_out = f"here are {others}" if others else "plug one in"
        return InputError(f"{name} is not there; {way_out}, or give a recording")
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return InputError(f"{name} cannot be opened: PyAV was built without {device.format}")
    return InputError(
        f"{name} gives no picture ({_reason(error)}); is it a camera? Devices often come in pairs, "
        "of which the first has the picture"
    )


def _is_busy(error: Exception | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EBUSY


def _reason(error: Exception | None) -> str:
    if isinstance(error, OSError | FFmpegError) and error.strerror:
        return str(error.strerror)
    return one_line(error) if error is not None else "no video in it"


def _address(device: Device) -> str:
    if device.format != "dshow":
        return device.address
    # Windows knows cameras by name only.
    found = [one.name for one in av.enumerate_input_devices("dshow") if "video" in one.media_types]
    if int(device.address) >= len(found):
        raise FileNotFoundError(errno.ENOENT, "no such camera", device.address)
    return f"video={found[int(device.address)]}"


def _pictures(
    container: InputContainer, stream: VideoStream, left: Callable[[], bool]
) -> Iterator[VideoFrame]:
    """Every picture that can be decoded; damaged ones cost only themselves."""
    damaged = 0
    packets = container.demux(stream)
    while not left():
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except (BlockingIOError, InvalidDataError) as error:
            if isinstance(error, BlockingIOError):
                time.sleep(0.005)  # nothing there yet
            else:
                damaged += 1
                if damaged > DAMAGED_MOST:
                    raise
            # An iterator that raised is finished.
            packets = container.demux(stream)
            continue
        for frame in frames:
            damaged = 0
            if isinstance(frame, VideoFrame):
                yield frame


def _plausible_rate(stream: VideoStream) -> Fraction:
    rate = exact(stream.average_rate)
    return rate if rate is not None and 1 <= rate <= 240 else Fraction(30)
