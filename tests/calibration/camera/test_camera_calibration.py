"""calibration.camera: what a camera gives is found again in its recording."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.camera.__main__ import main, watched
from calibration.camera.findings import Findings
from stream.cli.arguments import parse
from stream.errors import InputError
from stream.options import Options
from tests.known_camera import MadeCamera
from tests.pictures import need_models
from tests.recording_files import write_recording


def measured(tmp_path: Path, camera: MadeCamera) -> Findings:
    need_models()
    camera.write(tmp_path / "known.mkv")
    return watched(str(tmp_path / "known.mkv"), 60.0)


def test_blur_noise_and_jitter_are_recovered(tmp_path: Path) -> None:
    camera = MadeCamera()
    found = measured(tmp_path, camera)
    assert found.camera_blur_px == pytest.approx(camera.blur_px, rel=0.1)
    assert found.noise is not None
    assert (found.noise.dark, found.noise.bright) == pytest.approx(camera.noise, rel=0.1)
    assert found.rhythm is not None
    assert found.rhythm.interval_ms == pytest.approx(1000 / camera.rate, rel=0.02)
    intervals = 1e3 * np.diff(camera.times_s())
    assert found.rhythm.jitter_ms == pytest.approx(float(intervals.std()), rel=0.1)
    assert (found.rhythm.gaps, found.rhythm.repeated) == (0.0, 0.0)
    assert found.settling_s == []
    sides = [face.side_px for face in found.faces]
    assert min(sides) < 130
    assert max(sides) > 220


@pytest.mark.parametrize(("blur_px", "noise"), [(0.8, (3.0, 3.0)), (1.7, (1.5, 6.0))])
def test_other_cameras_are_told_apart(
    tmp_path: Path, blur_px: float, noise: tuple[float, float]
) -> None:
    camera = MadeCamera(frames=30, blur_px=blur_px, noise=noise, jitter_ms=0.0)
    found = measured(tmp_path, camera)
    assert found.camera_blur_px == pytest.approx(blur_px, rel=0.1)
    assert found.noise is not None
    assert (found.noise.dark, found.noise.bright) == pytest.approx(noise, rel=0.1)


@pytest.mark.parametrize(
    ("blur_px", "bit_rate"), [(0.5, None), (2.2, None), (4.0, None), (3.0, 1_500_000)]
)
def test_any_blur_is_recovered_also_from_h264(
    tmp_path: Path, blur_px: float, bit_rate: int | None
) -> None:
    need_models()
    size, widths_px = (640, 360), (170.0, 80.0)
    camera = MadeCamera(size, 32, blur_px=blur_px, jitter_ms=0.0, widths_px=widths_px)
    camera.write(tmp_path / "known.mkv", bit_rate)
    found = watched(str(tmp_path / "known.mkv"), 60.0)
    assert found.camera_blur_px == pytest.approx(blur_px, rel=0.1)


def test_a_profile_follows_that_the_command_line_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    recording, profile = tmp_path / "soft.mkv", tmp_path / "desk.toml"
    camera = MadeCamera(frames=90, blur_px=0.9, settling_s=0.6)
    camera.write(recording)
    picture = tmp_path / "curves.png"
    command = ["--input", str(recording), "--output", str(profile), "--picture", str(picture)]
    assert main(command) == 0
    (lag,) = re.findall(r"exposure settles in (\S+) s", capsys.readouterr().out)
    assert float(lag) == pytest.approx(camera.settling_s, rel=0.1)
    read = tomllib.loads(profile.read_text())["camera"]
    options = parse(["--input", "a.mp4", "--output", "b.mp4", "--config", str(profile)])
    assert isinstance(options, Options)
    assert options.camera.noise == pytest.approx(camera.noise, rel=0.15)
    assert options.camera.near_px == read["near-px"]
    # With the pixel's own half, 1.03 px across an edge in place of the usual 0.7.
    assert read["near-px"] == pytest.approx(220 * 1.03 / 0.7, rel=0.1)
    assert read["near-px"] / read["least-px"] == pytest.approx(220 / 96, rel=0.02)
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert np.ptp(drawn) == 255
    before = profile.read_text()
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert profile.read_text() == before


def test_without_a_face_only_the_rest_is_set(tmp_path: Path) -> None:
    need_models()
    camera = MadeCamera(frames=30, widths_px=(8.0, 8.0))
    found = measured(tmp_path, camera)
    assert found.camera_blur_px is None
    profile = found.profile()
    assert (profile.near_px, profile.least_px, profile.least_sharpness) == (220, 96, 0.05)
    assert profile.noise == pytest.approx(camera.noise, rel=0.1)
    assert any("sharpness: not measured" in line for line in found.lines())


def test_a_camera_is_watched_as_a_recording_is(tmp_path: Path) -> None:
    need_models()
    output = tmp_path / "camera.toml"
    made = "lavfi:testsrc2=size=320x180:rate=20,noise=alls=20:allf=t"
    assert main(["--input", made, "--output", str(output), "--seconds", "2"]) == 0
    read = output.read_text()
    assert f"from {made!r}" in read
    assert "sharpness: not measured" in read
    profile = tomllib.loads(read)["camera"]
    assert profile["near-px"] == 220
    assert all(deviation > 1.0 for deviation in profile["noise"])


def test_what_cannot_be_measured_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_models()
    short = tmp_path / "short.mp4"
    write_recording(short, pts=(0, 3000, 6000))
    with pytest.raises(InputError, match="has 3 frames, too few"):
        watched(str(short), 10.0)
    output = tmp_path / "out.toml"
    for arguments, why in (
        (["--input", str(tmp_path / "no.mp4")], "does not exist"),
        (["--input", str(short), "--seconds", "0"], "out of range"),
        (["--input", str(short), "--picture", str(tmp_path / "a.gif")], ".png or .jpg"),
        (["--input", str(short), "--picture", str(output)], "pictures are written as"),
    ):
        assert main([*arguments, "--output", str(output)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert why in line
    assert not output.exists()
    assert sorted(tmp_path.iterdir()) == [short]
