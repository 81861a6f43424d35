"""CameraProfile: what a file may say of a camera, and that bank and compositor act on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.back_projection import back_project
from stream.camera_profile import ANY_CAMERA, CameraProfile, format_table
from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.options import LiveOptions, Options
from stream.rtc.relay_options import RelayOptions
from stream.stages.exemplars.bank import Bank
from tests.pictures import frame_of, scene_with_face
from tests.stream.stages.exemplars.test_bank import face

DESK = CameraProfile(near_px=260, least_px=110, least_sharpness=0.07, noise=(1.25, 4.5))


def written(tmp_path: Path, text: str, name: str = "desk.toml") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_profile_serves_calls_recordings_and_the_relay(tmp_path: Path) -> None:
    desk = written(tmp_path, format_table(DESK))
    recording = parse(["--input", "a.mp4", "--output", "b.mp4", "--config", desk])
    call = parse(["--input", "lavfi:testsrc2", "--config", desk, "--strength", "0.5"])
    relay = parse(["--config", desk, "--input", "webrtc"])
    for options, kind in ((recording, Options), (call, LiveOptions), (relay, RelayOptions)):
        assert isinstance(options, kind)
        assert options.camera == DESK
    assert isinstance(call, LiveOptions)
    assert call.strength == 0.5


def test_options_and_profile_may_come_from_two_files_or_one(tmp_path: Path) -> None:
    options = 'input = "a.mp4"\noutput = "b.mp4"\nstrength = 0.5\n'
    two = ["--config", written(tmp_path, options, "options.toml")]
    two += ["--config", written(tmp_path, format_table(DESK))]
    one = ["--config", written(tmp_path, options + "\n" + format_table(DESK), "both.toml")]
    assert parse(one) == parse(two)
    for arguments, camera in ((two, DESK), (["--input", "a.mp4", "--output", "b.mp4"], ANY_CAMERA)):
        recording = parse(arguments)
        assert isinstance(recording, Options)
        assert recording.camera == camera


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("near = 200", "has no near; it takes least-px, least-sharpness, near-px, noise"),
        ("near-px = '200'", "near-px is '200'; it takes a number"),
        ("near-px = true", "near-px is True; it takes a number"),
        ("near-px = nan", "near-px is nan; it takes a number"),
        pytest.param(f"near-px = {10**400}", "0; it takes a number", id="beyond all floats"),
        pytest.param(f"noise = [1, {10**400}]", "noise takes two numbers", id="noise beyond"),
        ("near-px = 20", "near-px 20 of the camera is out of range; it lies between 64 and 2048"),
        ("near-px = 80", "least-px 96 of the camera is larger than near-px 80"),
        ("noise = 2.0", "noise takes two numbers"),
        ("noise = [2.0, 100.0]", "noise 100 of the camera is out of range"),
    ],
)
def test_what_no_camera_has_is_said_in_one_line(tmp_path: Path, table: str, message: str) -> None:
    path = written(tmp_path, f"[camera]\n{table}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        parse(["--input", "a.mp4", "--output", "b.mp4", "--config", path])
    assert str(caught.value).startswith(path)
    with pytest.raises(ConfigError, match="camera is a table"):
        parse(["--config", written(tmp_path, "camera = 5")])


def test_noise_grows_in_variance() -> None:
    levels = np.array([0.0, 127.5, 255.0], np.float32)
    dark, middle, bright = DESK.noise_at(levels) ** 2
    np.testing.assert_allclose((dark, bright), (1.25**2, 4.5**2), rtol=1e-5)
    np.testing.assert_allclose(middle, (dark + bright) / 2, rtol=1e-5)


def kept_by(camera: CameraProfile, width: float) -> int:
    bank, scene = Bank(camera), scene_with_face(width)
    for index in range(40):
        bank(frame_of(scene, index, faces=(face(width),)))
    return len([one for one in bank.exemplars_of(1) if one.side_px >= camera.near_px])


def test_the_bank_takes_as_close_what_the_profile_calls_close() -> None:
    assert kept_by(ANY_CAMERA, 115) > 0
    assert kept_by(DESK, 115) == 0
    assert kept_by(DESK, 135) > 0


def test_a_bank_of_a_soft_camera_takes_nothing_too_blunt() -> None:
    assert kept_by(CameraProfile(least_sharpness=0.4), 135) == 0


def test_known_noise_stays_out_where_neighbouring_pixels_share_it() -> None:
    # As cameras that denoise leave it: a guess from one picture takes such noise for detail.
    rng = np.random.default_rng(0)
    clean = np.full((48, 48, 3), 120, np.uint8)
    grain = np.asarray(cv2.GaussianBlur(rng.normal(0, 1, clean.shape), (0, 0), 1.0))
    seen = np.clip(np.rint(clean + 4.0 * grain / grain.std()), 0, 255).astype(np.uint8)
    truth = np.full((192, 192, 3), 120, np.uint8)

    def error(camera: CameraProfile) -> float:
        noise_at = camera.noise_at if camera.noise is not None else None
        return float((back_project(truth, seen, noise_at).astype(float) - 120.0).std())

    assert error(CameraProfile(noise=(4.0, 4.0))) < 0.7 * error(ANY_CAMERA)
