"""Learning somebody, for real, in a few steps."""

from __future__ import annotations

import copy
import importlib.util
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from engines.errors import EngineError, UnavailableError
from engines.hime.checkpoint import load_network
from engines.hime.data import LEAST_BATCH, to_images
from engines.hime.model import Hime
from engines.personal import learner as learner_module
from engines.personal.close_ups import CloseUp, split
from engines.personal.gain import Gain
from engines.personal.held_out import MOST_CASES, HeldOut
from engines.personal.learner import SHARES, Learner, batch_size
from engines.personal.learning_process import Learning, LearningProcess, Task, lacking
from engines.personal.method import KEPT, Method
from engines.personal.training_pairs import drawn
from engines.weights.manifest import weights_files
from tests.pictures import HOPPER_FACE_CENTER, HOPPER_FACE_PX, hopper

LONG_S = 120.0


@pytest.fixture(scope="module")
def person() -> tuple[CloseUp, ...]:
    return close_ups(7)


def close_ups(count: int) -> tuple[CloseUp, ...]:
    """Grace Hopper, as if she moved a little."""
    (x, y), side = HOPPER_FACE_CENTER, 2 * HOPPER_FACE_PX
    found = []
    for k in range(count):
        part = k / (count - 1)
        turn = cv2.getRotationMatrix2D((x, y), 18.0 * part - 9.0, 128 / side * (1 + 0.12 * part))
        turn[:, 2] += np.array([64 - x, 64 - y])
        picture = cv2.warpAffine(hopper(), turn, (128, 128), borderMode=cv2.BORDER_REFLECT)
        found.append(CloseUp(np.asarray(picture, np.uint8), float(k)))
    return tuple(found)


@pytest.fixture(scope="module")
def network() -> Hime:
    return load_network(weights_files(8)[1])


def states(learner: Learner) -> list[torch.Tensor]:
    for _ in learner.steps_made(judged=False):
        pass
    return [value.clone() for value in learner.mean.parameters()]


def test_the_same_seed_learns_the_same(
    network: Hime, person: tuple[CloseUp, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(learner_module.BATCH, 8, 4)  # making pairs is what takes long
    one, again, other = (states(Learner(network, person, 2, seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    before = load_network(weights_files(8)[1]).parameters()
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


def test_what_is_learnt_is_better_for_this_person(
    network: Hime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # judged when it has learnt something, and at its end
    monkeypatch.setattr(learner_module, "JUDGED", 2)
    monkeypatch.setattr(learner_module, "EARLY", ())
    # the gain is surer from many close-ups, and a high rate brings it in a quarter of the steps
    person, method = close_ups(16), Method(rate=1e-3)
    learner = Learner(network, person, 32, seed=0, method=method)
    gains = [progress.gain for progress in learner.steps_made() if progress.gain is not None]
    assert gains[-1] == learner.gain
    learnt, held_out = split(person)
    found = HeldOut(network, held_out, learnt).gain(learner.mean)
    assert found.psnr > 0.1
    assert found.coherence > 0.0
    assert learner.best is not None
    assert learner.gain.psnr > 0.1
    assert learner.gain.coherence > 0.0
    assert learner.gain.pays
    assert not any(name.startswith(KEPT) for name in learner.best)


def test_it_is_judged_at_the_size_at_which_it_is_learnt(
    network: Hime, person: tuple[CloseUp, ...]
) -> None:
    assert (batch_size(8), batch_size(8, 24), batch_size(8, 32)) == (16, 7, LEAST_BATCH)
    large = [
        replace(one, picture=np.asarray(cv2.resize(one.picture, (192, 192)), np.uint8))
        for one in person
    ]
    learner = Learner(network, large, 1, side=24)
    (batch,) = drawn(learner._batches, 1, 0, 1)
    assert batch.crop.shape == (7, 3, 24, 24)
    judge = learner._judge
    assert judge._usual.truth.shape[1:] == (3, 192, 192)
    assert judge._changed.truth.shape[1:] == (3, 192, 192)
    assert len(judge._usual.truth) <= MOST_CASES * 16 // 24
    assert judge.gain(network).psnr == 0.0


def test_brightness_is_the_cameras_and_gains_and_loses_nothing(
    network: Hime, person: tuple[CloseUp, ...]
) -> None:
    learnt, held_out = split(person)
    brighter = copy.deepcopy(network)
    assert brighter.reconstruction.last.bias is not None
    with torch.no_grad():
        brighter.reconstruction.last.bias += 8 / 255
    judge = HeldOut(network, held_out, learnt)
    before, after = (
        float(np.mean(to_images(judge._usual._made(one)))) for one in (network, brighter)
    )
    assert after - before == pytest.approx(8, abs=1)
    assert judge.gain(brighter).psnr == pytest.approx(0.0, abs=0.05)


def test_what_is_chosen_is_the_best_that_pays(
    network: Hime, person: tuple[CloseUp, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [Gain(0.9, -0.2)] * len(SHARES)
    gains = iter([Gain(0.4, 0.0), Gain(0.3, 0.0), *refused, Gain(0.5, 0.0)])
    monkeypatch.setattr(HeldOut, "gain", lambda self, network: next(gains))
    monkeypatch.setattr(HeldOut, "__init__", lambda self, *args: None)
    learner = Learner(network, person, 4, seed=0)
    assert [learner.judge().psnr for _ in range(4)] == [0.4, 0.4, 0.4, 0.5]
    assert learner.best is not None
    assert not any(name.startswith(KEPT) for name in learner.best)
    assert any(name.startswith("reconstruction") for name in learner.best)


def until_done(process: LearningProcess) -> list[Learning]:
    told: list[Learning] = []
    end_s = time.monotonic() + LONG_S
    while time.monotonic() < end_s and not (told and told[-1].done):
        news = process.news(1.0)
        if news is not None:
            told.append(news)
    return told


def test_a_process_learns(person: tuple[CloseUp, ...]) -> None:
    with LearningProcess(Task(person, 8, steps=2, threads=1)) as process:
        told = until_done(process)
        assert told[-1].done
        assert (told[-1].step, told[-1].steps) == (2, 2)
        assert process.news(0.1) is None
    weights = [one.weights for one in told if one.weights is not None]
    gain = told[-1].gain
    assert gain is not None
    assert bool(weights) == gain.pays
    for one in weights:
        assert len(one.halves()) == 2
        one.wipe()


def test_minutes_are_steps_and_a_stop_ends_them_early(person: tuple[CloseUp, ...]) -> None:
    with LearningProcess(Task(person, 8, minutes=60.0, threads=1)) as process:
        first = None
        while first is None:
            first = process.news(1.0)
        assert first.steps > 60, "a step takes less than a minute"
        process.pause()
        process.resume()
        process.stop()
        assert until_done(process)[-1].step < first.steps


def test_a_process_that_is_killed_is_told(person: tuple[CloseUp, ...]) -> None:
    with LearningProcess(Task(person, 8, minutes=60.0, threads=1)) as process:
        process._process.kill()
        with pytest.raises(EngineError, match="ended unexpectedly"):
            until_done(process)


def test_what_goes_wrong_there_is_told_in_a_line(person: tuple[CloseUp, ...]) -> None:
    message = r"learning failed: ValueError: .*scale"
    with (
        LearningProcess(Task(person, 5, steps=1)) as process,
        pytest.raises(EngineError, match=message),
    ):
        until_done(process)


def test_what_is_missing_is_said_before(
    monkeypatch: pytest.MonkeyPatch, person: tuple[CloseUp, ...]
) -> None:
    assert lacking() is None
    with pytest.raises(ValueError, match="6 are needed"):
        LearningProcess(Task(person[:5], 8, steps=1))
    with pytest.raises(ValueError, match="minutes or steps"):
        LearningProcess(Task(person, 8))
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "torch" else real(name)
    )
    with pytest.raises(UnavailableError, match=r"needs torch; .*\[learn\]"):
        LearningProcess(Task(person, 8, steps=1))
