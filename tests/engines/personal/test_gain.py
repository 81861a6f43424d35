"""When held-out close-ups let personal weights be used."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engines.hime.detail import Detail
from engines.personal.gain import Gain, Picture, gain_of

DAMAGES = 4


def pictures(psnrs: Sequence[float], coherences: Sequence[float]) -> list[Picture]:
    """Of close-ups with these figures, each damaged several times, some of it worse."""
    return [
        Picture(place, psnr - damage, Detail(1.0, 1.0, coherence))
        for damage in range(DAMAGES)
        for place, (psnr, coherence) in enumerate(zip(psnrs, coherences, strict=True))
    ]


def gain(psnrs: Sequence[float], coherences: Sequence[float] | None = None) -> Gain:
    """Over close-ups of 20, 21, ... dB and a coherence of 0.5."""
    count = len(psnrs)
    before = [20.0 + k for k in range(count)]
    after = [a + b for a, b in zip(before, psnrs, strict=True)]
    fine = [0.5 + one for one in coherences or [0.0] * count]
    return gain_of(pictures(before, [0.5] * count), pictures(after, fine))


def test_differences_are_taken_picture_by_picture() -> None:
    found = gain([0.4, 0.4, 0.4], [0.02, 0.02, 0.02])
    assert found.psnr == pytest.approx(0.4)
    assert found.coherence == pytest.approx(0.02)
    assert found.psnr_error < 0.2, "close-ups of 20 and 22 dB with one gain do not differ"


def test_more_close_ups_are_surer_and_more_damages_of_one_are_not() -> None:
    few, many = gain([0.1, 0.3]), gain([0.1, 0.3] * 5)
    assert many.psnr_error < few.psnr_error / 2
    once = gain_of(pictures([20.0, 21.0], [0.5, 0.5])[:2], pictures([20.1, 21.3], [0.5, 0.5])[:2])
    assert once.psnr_error == pytest.approx(few.psnr_error)


@pytest.mark.parametrize(
    ("psnrs", "coherences", "pays"),
    [
        ([0.9, 0.7, 1.2], None, True),
        # one of three is worse: refused when all must win, though the mean is far above chance
        ([1.4, -0.1, 1.2], None, True),
        ([0.9, 0.7, 1.2], [-0.03, 0.0, -0.02], True),
        ([0.9, 0.7, 1.2], [-0.06, -0.05, -0.05], False),
        ([0.1, 0.1], None, False),
        ([0.12] * 9, None, True),
        ([0.04] * 36, None, False),
        ([2.0, -1.5, 0.3], None, False),
        ([-0.2, -0.3, -0.1], [0.1, 0.1, 0.1], False),
    ],
)
def test_who_gains_and_by_more_than_chance(
    psnrs: list[float], coherences: list[float] | None, *, pays: bool
) -> None:
    assert gain(psnrs, coherences).pays == pays


def test_other_pictures_are_not_compared() -> None:
    two = pictures([20.0, 21.0], [0.5, 0.5])
    for other in (two[:-1], two[::-1], []):
        with pytest.raises(ValueError, match="same damaged close-ups"):
            gain_of(two, other)
    with pytest.raises(ValueError, match="must be some"):
        gain_of([], [])
