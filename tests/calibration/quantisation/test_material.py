"""Material: samples of people and recordings, and which of them may be used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the calibration extra is not installed")


from calibration.quantisation import __main__ as quantize
from calibration.quantisation import material
from calibration.quantisation.material import (
    PATTERNS,
    SLOTS,
    make_patterns,
    make_samples,
    split,
    spread,
)
from engines.hime.licences import OPEN, Permit
from engines.hime.people import Person
from stream.stages.tracking import detector_weights
from tests.calibration.quantisation.quantisation_material import recorded, three_people
from tests.engines.onnx_variants.test_variants import psnr


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return three_people()


def test_samples_differ_in_size_and_light_and_have_a_truth(
    people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "SIZES", {4: (16, 24)})
    samples = make_samples(people, 4, 6, seed=1)
    assert {len(one.crop) for one in samples} == {16, 24}
    light = [float(one.crop.mean()) for one in samples]
    assert max(light) > 1.4 * min(light)
    for one in samples:
        assert one.truth is not None
        assert len(one.truth) == 4 * len(one.crop)
        assert [shot.shape for shot in one.exemplars] == [(*one.truth.shape[:2], 4)] * 3
        small = cv2.resize(one.truth, one.crop.shape[:2], interpolation=cv2.INTER_AREA)
        assert psnr(one.crop.astype(float), small.astype(float), 255.0) > 15
    monkeypatch.setattr(material, "SIZES", {4: (32,)})
    tiny = [Person("tiny", (np.zeros((64, 64, 3), np.uint8),))]
    with pytest.raises(ValueError, match="no headshot has 128 px or more"):
        make_samples(tiny, 4, 3, seed=1)


def test_what_is_chosen_is_spread() -> None:
    looks = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [-4.0]])
    assert set(spread(looks, 3)) & {3, 4}
    assert 5 in spread(looks, 3)
    assert sorted(spread(looks, 6)) == list(range(6))


def test_every_third_person_is_held_out(people: list[Person]) -> None:
    rest, held = split(people)
    assert [one.name for one in rest] == ["p0", "p1"]
    assert [one.name for one in held] == ["p2"]
    with pytest.raises(ValueError, match="at least 3 are needed"):
        split(people[:2])


def test_open_weights_are_calibrated_with_openly_licensed_pictures_alone(
    people: list[Person], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, table = tmp_path / "people", tmp_path / "sources.csv"
    lines = ["file,repository,licence,author"]
    for one, licence in zip(people, ("CC0", "CC BY 4.0", "Pexels licence"), strict=True):
        (data / one.name).mkdir(parents=True)
        for number, photo in enumerate(one.photos):
            cv2.imwrite(str(data / one.name / f"{number}.png"), photo[:, :, ::-1])
            lines.append(f"people/{one.name}/{number}.png,there,{licence},somebody")
    table.write_text("\n".join(lines))
    permit = Permit.read(table, OPEN)
    assert [one.name for one in material.gather([data], permit=permit).people] == ["p0", "p1"]
    recorded(tmp_path / "call.mp4")
    with pytest.raises(ValueError, match=r"call.mp4 is a recording, which has no licence"):
        material.gather([tmp_path / "call.mp4"], permit=permit)
    with pytest.raises(SystemExit):
        quantize.main(["--data", str(data), "--weights", "open", "--ship"])
    assert "--ship with --weights open needs --sources" in capsys.readouterr().err


def test_a_recording_gives_what_the_network_was_given(tmp_path: Path) -> None:
    if not detector_weights.cached():
        pytest.skip("the face detection models are not in the cache")
    recorded(tmp_path / "call.mp4")
    found = material.watch(tmp_path / "call.mp4", 10.0)
    assert found.people
    assert all(photo.shape == (256, 256, 3) for one in found.people for photo in one.photos)
    assert all(photo.any() for one in found.people for photo in one.photos), "not wiped with them"
    samples = [one for scale in found.seen for one in found.seen[scale]]
    assert 0 < len(samples) <= 2 * material.FAR_CROPS
    assert all(one.truth is None for one in samples)


def test_patterns_hold_all_levels_and_every_number_of_exemplars() -> None:
    patterns = make_patterns(4)
    assert len(patterns) == PATTERNS
    assert {len(one.exemplars) for one in patterns} == set(range(SLOTS + 1))
    assert all(one.truth is None for one in patterns)
    assert all(x.shape[0] == 4 * one.crop.shape[0] for one in patterns for x in one.exemplars)
    assert min(int(one.crop.min()) for one in patterns) == 0
    assert max(int(one.crop.max()) for one in patterns) == 255
