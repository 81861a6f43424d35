"""ConvertedSound: sound that a kind of file cannot hold is there all the same, and in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from stream.errors import InputError
from stream.frame import Floats
from stream.media.pyav import exact
from stream.media.remux import copy_recording
from stream.media.sandbox.sandboxed_sound import SandboxedSound, open_sound
from stream.media.sources.sound_source import SoundSource
from stream.recordings.verify import check_recording
from tests.recording_files import picture
from tests.stream.media.test_stream_copy import process

SECONDS = 2
TONE_HZ = 440


def write_call(
    path: Path, codec: str, rate_hz: int, layout: str = "mono", *, pause: bool = False
) -> None:
    """Pictures, and a tone that begins after half a second. Args: pause: the second half second of
    the sound is not there at all."""
    with av.open(str(path), "w") as container:
        codecs = {".flv": "flv", ".rm": "rv10"}
        pictures = container.add_stream(codecs.get(path.suffix, "mpeg4"), rate=25)
        assert isinstance(pictures, VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=rate_hz)
        assert isinstance(sound, AudioStream)
        sound.layout, sound.bit_rate = layout, 64_000 if codec == "wmav2" else 12_200
        step = rate_hz // 25
        for number in range(25 * SECONDS):
            frame = av.VideoFrame.from_ndarray(picture(step=number), format="rgb24")
            frame.pts = number
            container.mux(pictures.encode(frame.reformat(format="yuv420p")))
            if pause and 25 <= number < 37:
                continue
            times = (np.arange(step) + number * step) / rate_hz
            tone = 0.5 * np.sin(2 * np.pi * TONE_HZ * times) * (times >= 0.5)
            packed = np.repeat(tone.astype(np.float32), sound.channels).reshape(1, -1)
            samples = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            samples.sample_rate, samples.time_base = rate_hz, Fraction(1, rate_hz)
            samples.pts = number * step
            container.mux(sound.encode(samples))
        container.mux([*pictures.encode(None), *sound.encode(None)])


def heard(path: Path) -> tuple[str, int, Floats]:
    """Codec, samples a second, and the first channel from time 0, float32 (n,)."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate_hz = stream.rate
        samples = np.zeros(rate_hz * (SECONDS + 1), np.float32)
        resampler = av.AudioResampler("fltp", stream.layout.name, rate_hz)
        for frame in container.decode(stream):
            if frame.pts is None:
                # Of the end of WMA, which the decoder had kept back.
                continue
            start = round(float(frame.pts * (exact(frame.time_base) or 0)) * rate_hz)
            for part in resampler.resample(frame):
                values = part.to_ndarray()[0][max(0, -start) :]
                samples[max(0, start) : max(0, start) + len(values)] = values
        return str(stream.name), rate_hz, samples


CASES = [
    ("call.avi", "pcm_mulaw", 8000, "mono"),
    ("call.mov", "pcm_alaw", 8000, "stereo"),
    ("call.avi", "adpcm_ms", 22_050, "mono"),
    ("call.mov", "adpcm_ima_qt", 44_100, "mono"),
    ("call.3gp", "libopencore_amrnb", 8000, "mono"),
    ("call.avi", "wmav2", 44_100, "stereo"),
]


@pytest.mark.parametrize(("name", "codec", "rate_hz", "layout"), CASES)
@pytest.mark.parametrize(("ending", "made"), [("mkv", "flac"), ("mp4", "aac")])
def test_what_does_not_fit_is_converted_in_step(
    tmp_path: Path, name: str, codec: str, rate_hz: int, layout: str, ending: str, made: str
) -> None:
    source, target = tmp_path / name, tmp_path / f"better.{ending}"
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no encoder {codec}")
    write_call(source, codec, rate_hz, layout)
    (note,) = copy_recording(source, target)
    assert note.startswith("converted: sound ")
    assert note.endswith(f" to {made}")
    before, after = heard(source), heard(target)
    assert after[:2] == (made, rate_hz)
    begins = [int(np.argmax(np.abs(one[2]) > 0.1)) / rate_hz for one in (before, after)]
    assert begins[0] == pytest.approx(0.5, abs=0.05)
    assert begins[1] == pytest.approx(begins[0], abs=0.03 if made == "aac" else 0.001)
    loudness = [
        float(np.std(one[2][rate_hz : 2 * rate_hz - rate_hz // 4])) for one in (before, after)
    ]
    assert loudness[1] == pytest.approx(loudness[0], rel=0.05)
    assert check_recording(source, target)["same"]


@pytest.mark.parametrize(("ending", "made"), [("mkv", "flac"), ("mp4", "aac")])
def test_aac_that_nothing_describes_is_converted(tmp_path: Path, ending: str, made: str) -> None:
    """RealMedia as FFmpeg writes it, where all packets of the sound have one time, too."""
    source, target = tmp_path / "call.rm", tmp_path / f"better.{ending}"
    write_call(source, "aac", 44_100)
    assert process(source, target).converted == [f"sound aac to {made}"]
    assert check_recording(source, target)["same"]
    codec, rate_hz, samples = heard(target)
    assert codec == made
    level = [float(np.std(part)) for part in np.split(samples[: 2 * rate_hz], 20)]
    assert max(level[:4]) < 0.02
    assert min(level[6:19]) > 0.3


def test_flac_loses_nothing(tmp_path: Path) -> None:
    source, target = tmp_path / "call.avi", tmp_path / "better.mkv"
    write_call(source, "pcm_mulaw", 8000)
    copy_recording(source, target)
    assert np.array_equal(heard(source)[2], heard(target)[2])


def test_a_pause_in_the_sound_stays_a_pause(tmp_path: Path) -> None:
    source, target = tmp_path / "call.flv", tmp_path / "better.mkv"
    write_call(source, "nellymoser", 22_050, pause=True)
    assert process(source, target).converted == ["sound nellymoser to flac"]
    _, rate_hz, samples = heard(target)
    level = [float(np.std(part)) for part in np.split(samples[: 2 * rate_hz], 20)]
    assert max(level[:5] + level[11:14]) < 0.02
    assert min(level[6:9] + level[16:19]) > 0.3


def test_the_sandbox_gives_the_same_samples(tmp_path: Path) -> None:
    source = tmp_path / "call.mkv"
    write_call(source, "tta", 48_000, "stereo")
    near, far = SoundSource(source, 1), SandboxedSound(source, 1)
    assert near.format == far.format
    samples = [b"".join(part.data for part in sound) for sound in (near, far)]
    assert samples[0] == samples[1]
    assert len(samples[0]) == SECONDS * 48_000 * near.format.bytes_each
    near.close()
    far.close()


def test_sound_that_cannot_be_decoded_is_said(tmp_path: Path) -> None:
    source = tmp_path / "call.mkv"
    write_call(source, "tta", 48_000)
    with pytest.raises(InputError, match=r"sound 0 of .* cannot be decoded"):
        open_sound(source, 0)
    with pytest.raises(InputError, match="does not exist"):
        open_sound(tmp_path / "none.mkv", 1)
