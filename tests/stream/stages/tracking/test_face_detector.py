from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from stream.image.detection import Model
from stream.stages.tracking.face_detector import FaceDetector
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, backdrop, hopper, scene_with_face
from tests.pictures import need_models as require_models


@pytest.fixture(scope="module")
def detector() -> Iterator[FaceDetector]:
    require_models()
    with FaceDetector() as opened:
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


def test_it_is_fast_to_import_and_quiet() -> None:
    require_models()
    program = (
        "import sys; from stream.stages.tracking.face_detector import FaceDetector\n"
        "assert 'mediapipe' not in sys.modules\n"
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


@pytest.mark.parametrize("proxy", ["https_proxy", "ALL_PROXY"])
def test_it_reports_to_nobody_and_leaves_the_proxies_of_python_alone(proxy: str) -> None:
    require_models()
    program = (
        "from stream.stages.tracking.face_detector import FaceDetector\n"
        "import os\n"
        "before = dict(os.environ)\n"
        "if len(__import__('sys').argv) > 1:\n"
        "    from stream.stages.tracking import face_detector as detector\n"
        "    detector.keep_reports_here = lambda: None\n"
        "with FaceDetector(): pass\n"
        "assert dict(os.environ) == before\n"
    )
    heard = []
    for arguments in ([], ["let it report"]):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(1.0)
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            environ = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
            subprocess.run(
                [sys.executable, "-c", program, *arguments],
                env=environ | {proxy: address},
                check=True,
                stderr=subprocess.DEVNULL,
            )
            with contextlib.suppress(TimeoutError):
                caller, _ = server.accept()
                caller.close()
                heard.append(arguments)
    # a library that asks nobody any more would make the second run silent too: then this can go
    assert heard == [["let it report"]]
