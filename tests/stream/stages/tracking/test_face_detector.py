from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from engines.runtime import UnavailableError
from stream.errors import ModelError
from stream.image.detection import Model
from stream.stages.tracking import face_detector
from stream.stages.tracking.face_detector import FaceDetector
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, backdrop, hopper, scene_with_face
from tests.pictures import need_models as require_models

NO_OPENVINO = (
    "from stream.stages.tracking import face_detector\n"
    "from engines.runtime import UnavailableError\n"
    "def missing(*given): raise UnavailableError('OpenVINO is away')\n"
    "face_detector.OpenVinoNetworks = missing\n"
)


def missing(*given: object) -> None:
    raise UnavailableError("OpenVINO is away")


@pytest.fixture(scope="module", params=["openvino", "mediapipe"])
def detector(request: pytest.FixtureRequest) -> Iterator[FaceDetector]:
    require_models()
    pytest.importorskip(request.param)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "mediapipe":
            patch.setattr(face_detector, "OpenVinoNetworks", missing)
        with FaceDetector() as opened:
            assert request.param in type(opened._networks).__name__.lower()
            yield opened


@pytest.mark.parametrize("model", ["short", "full"])
def test_both_models_find_a_portrait(detector: FaceDetector, model: Model) -> None:
    (face,) = detector.detect(hopper(), model=model)
    center = (face.box[:2] + face.box[2:]) / 2
    np.testing.assert_allclose(center, HOPPER_FACE_CENTER, atol=10)
    assert face.width_px == pytest.approx(HOPPER_FACE_PX, abs=10)
    assert face.score > 0.8
    assert face.box.dtype == face.keypoints.dtype == np.float32
    right_eye, left_eye, nose, mouth, right_ear, left_ear = face.keypoints
    assert right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0]
    assert right_eye[1] < nose[1] < mouth[1]


@pytest.mark.parametrize("width_px", [24, 40, 100, 230])
def test_in_a_crop_around_it_a_face_of_any_size_is_found_in_pixels_of_the_frame(
    detector: FaceDetector, width_px: int
) -> None:
    x, y = 700.0, 380.0
    image = scene_with_face(width_px, at=(x, y), noise=4)
    half = 1.25 * width_px
    region = (int(x - half), int(y - half), int(x + half), int(y + half))
    (face,) = detector.detect(image, region)
    center = (face.box[:2] + face.box[2:]) / 2
    np.testing.assert_allclose(center, (x, y), atol=max(1.5, 0.06 * width_px))
    assert face.width_px == pytest.approx(width_px, rel=0.05)


def test_a_region_may_reach_beyond_the_picture(detector: FaceDetector) -> None:
    image = scene_with_face(100, at=(60.0, 360.0))
    (face,) = detector.detect(image, (-70, 230, 190, 490))
    assert float(face.box[0] + face.box[2]) / 2 == pytest.approx(60.0, abs=6)
    with pytest.raises(ValueError, match="outside"):
        detector.detect(image, (-100, 0, -10, 90))


def test_an_empty_room_has_no_face(detector: FaceDetector) -> None:
    assert detector.detect(backdrop(), model="full") == []
    assert detector.detect(backdrop(), (300, 100, 600, 400)) == []


@pytest.mark.parametrize("model", ["short", "full"])
@pytest.mark.parametrize("width_px", [24, 40, 60])
def test_both_ways_to_run_the_networks_see_the_same(model: Model, width_px: int) -> None:
    require_models()
    pytest.importorskip("openvino")
    pytest.importorskip("mediapipe")
    image = scene_with_face(width_px, noise=4)
    reach = int((1.25 if model == "short" else 4.0) * width_px)
    region = (640 - reach, 360 - reach, 640 + reach, 360 + reach)
    with pytest.MonkeyPatch.context() as patch, FaceDetector() as one:
        patch.setattr(face_detector, "OpenVinoNetworks", missing)
        with FaceDetector() as other:
            (mine,), (theirs,) = (each.detect(image, region, model) for each in (one, other))
    np.testing.assert_allclose(mine.box, theirs.box, atol=0.01 * width_px + 1.0)
    np.testing.assert_allclose(mine.keypoints, theirs.keypoints, atol=0.01 * width_px + 0.5)
    assert mine.score == pytest.approx(theirs.score, abs=0.02)


def test_where_nothing_runs_the_networks_both_reasons_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require_models()
    monkeypatch.setattr(face_detector, "OpenVinoNetworks", missing)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ModelError, match=r"mediapipe cannot be loaded.*OpenVINO is away"):
        FaceDetector()


@pytest.mark.parametrize("before", ["", NO_OPENVINO], ids=["openvino", "mediapipe"])
def test_it_is_fast_to_import_and_quiet(before: str) -> None:
    require_models()
    pytest.importorskip("mediapipe" if before else "openvino")
    program = before + (
        "import sys; from stream.stages.tracking.face_detector import FaceDetector\n"
        "assert not {'mediapipe', 'openvino'} & set(sys.modules)\n"
        "import numpy as np\n"
        "with FaceDetector() as d: d.detect(np.zeros((90, 160, 3), np.uint8), model='full')\n"
        "print('still heard', file=sys.stderr)\n"
        "with FaceDetector() as d: pass\n"
        "d.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "still heard" in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr


def is_called(server: socket.socket, process: subprocess.Popen[bytes]) -> bool:
    """Whether somebody connects until a process has ended; they are left at once, or it would wait
    for an answer."""
    called, running = False, True
    while running:
        running = process.poll() is None
        with contextlib.suppress(TimeoutError):
            server.accept()[0].close()
            called = running = True
    return called


def test_it_reports_to_nobody_and_leaves_the_proxies_of_python_alone() -> None:
    require_models()
    pytest.importorskip("mediapipe")
    program = NO_OPENVINO + (
        "from stream.stages.tracking.face_detector import FaceDetector\n"
        "import os\n"
        "before = dict(os.environ)\n"
        "if len(__import__('sys').argv) > 1:\n"
        "    from stream.stages.tracking import mediapipe_networks\n"
        "    mediapipe_networks.keep_reports_here = lambda: None\n"
        "with FaceDetector(): pass\n"
        "assert dict(os.environ) == before\n"
    )
    proxies = ("https_proxy", "ALL_PROXY")
    reporting = [(["let it report"], (proxy,)) for proxy in proxies]
    heard = []
    for arguments, given in ([], proxies), *reporting:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.1)
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            environ = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
            with subprocess.Popen(
                [sys.executable, "-c", program, *arguments],
                env=environ | dict.fromkeys(given, address),
                stderr=subprocess.DEVNULL,
            ) as process:
                called = is_called(server, process)
            assert process.returncode == 0
            if called:
                heard.append((arguments, given))
    # a library that asks nobody any more would make these runs silent too: then this can go
    assert heard == reporting
