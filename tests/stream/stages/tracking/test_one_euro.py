from __future__ import annotations

import math

import numpy as np
import pytest

from stream.stages.tracking.one_euro import OneEuro


def run(values: list[float], fps: float = 30.0, unit: float = 1.0) -> np.ndarray:
    smooth = OneEuro(min_cutoff_hz=0.4, beta=8.0)
    return np.array([float(smooth(np.array([v]), i / fps, unit)[0]) for i, v in enumerate(values)])


def test_the_first_value_passes() -> None:
    assert run([3.5])[0] == 3.5


def test_at_rest_most_of_the_noise_goes() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.005, 600)
    left = run(list(1.0 + noise))[60:]
    assert np.diff(left).std() < np.diff(noise).std() / 6
    assert left.mean() == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("speed", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_a_steady_walk_is_followed_within_the_stated_lag(speed: float, fps: float) -> None:
    values = [speed * i / fps for i in range(int(3 * fps))]
    lag = values[-1] - run(values, fps)[-1]
    assert 0.0 <= lag <= 1.0 / (2.0 * math.pi * 8.0) + 1e-3


def test_the_lag_has_a_hard_limit_even_at_the_first_step() -> None:
    smooth = OneEuro(min_cutoff_hz=0.4, beta=0.0, max_lag=0.03)
    for i in range(60):
        value = np.array([0.0 if i < 30 else 50.0 * (i - 30)])
        assert abs(float((value - smooth(value, i / 30, unit=10.0))[0])) <= 0.3 + 1e-9


def test_the_unit_makes_it_blind_to_scale() -> None:
    walk = [0.01 * i**1.5 for i in range(60)]
    large = run([100.0 * v for v in walk], unit=100.0)
    np.testing.assert_allclose(large, 100.0 * run(walk), rtol=1e-9)


def test_a_time_that_stands_still_or_runs_back_changes_nothing() -> None:
    smooth = OneEuro(min_cutoff_hz=1.0, beta=1.0)
    smooth(np.array([1.0]), 1.0)
    assert smooth(np.array([9.0]), 1.0)[0] == 1.0
    assert smooth(np.array([9.0]), 0.5)[0] == 1.0
