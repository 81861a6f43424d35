"""Users of one file share its compiled form; none of them sees the other's pictures."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs OpenVINO")

from engines import small_network
from engines.small_network import SHARED_BY, SmallNetwork
from stream.stages.tracking import detector_weights
from tests.pictures import need_models


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    need_models()
    gc.collect()
    monkeypatch.setattr(small_network, "_compiled", {})
    (found,) = detector_weights.load(detector_weights.SHORT_RANGE)
    yield found
    gc.collect()


def in_use() -> list[int]:
    """Users of each compiled network."""
    return [one.users for known in small_network._compiled.values() for one in known]


def test_a_few_share_one_and_the_last_leaves_it_to_the_next(data: bytes) -> None:
    networks = [SmallNetwork(data) for _ in range(SHARED_BY + 1)]
    assert in_use() == [SHARED_BY, 1]
    for one in networks:
        one.close()
        one.close()
    assert in_use() == [0]
    ((kept,),) = small_network._compiled.values()
    network = SmallNetwork(data)
    ((used,),) = small_network._compiled.values()
    assert used is kept
    assert in_use() == [1]
    network.close()
    assert in_use() == [0]


def test_one_that_is_forgotten_leaves_it_too(data: bytes) -> None:
    SmallNetwork(data)
    gc.collect()
    assert in_use() == [0]


def test_each_gets_its_own_answers_from_threads_at_once(data: bytes) -> None:
    networks = [SmallNetwork(data) for _ in range(3)]
    pictures = [
        np.random.default_rng(seed).random(networks[0].input.shape, np.float32)
        for seed in range(len(networks))
    ]

    def answers(place: int) -> list[list[np.ndarray]]:
        made = []
        for _ in range(20):
            networks[place].input[:] = pictures[place]
            made.append([output.copy() for output in networks[place].run()])
        return made

    alone = [answers(place)[0] for place in range(len(networks))]
    with ThreadPoolExecutor(len(networks)) as pool:
        for place, made in enumerate(pool.map(answers, range(len(networks)))):
            for one in made:
                for output, right in zip(one, alone[place], strict=True):
                    np.testing.assert_array_equal(output, right)
    networks[0].close()
    np.testing.assert_array_equal(answers(1)[0][0], alone[1][0])
    for network in networks:
        network.close()


def test_a_network_that_is_closed_has_no_picture_left(data: bytes) -> None:
    network = SmallNetwork(data)
    network.input.fill(1.0)
    network.run()
    network.close()
    assert not network.input.any()
