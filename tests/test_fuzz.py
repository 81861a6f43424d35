"""Damaged recordings: a good output or one clear line; `python -m tests.fuzz` goes on for hours."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from run_pipeline import main
from tests.fake_stages import use_fake_stages
from tests.fuzz import evaluate, good_ones, randoms, specials
from tests.recording_files import times_of

SEED = 20_261_121
RANDOMS = 10
REFUSED = {
    "ffconcat in disguise": "is not a recording",
    "playlist in disguise": "is not a recording",
    "an SDP in disguise": "is not a recording",
    "16k in the pictures": "",
    "units without a picture": "",
    "pictures back in time": "",
    "hundreds of streams": "at most 64",
    "an index that points beyond": "no picture",
}
"""What must be said; the others may give a good output just as well."""


def test_files_that_are_made_to_do_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_stages(monkeypatch)
    good = good_ones(tmp_path / "good")
    for number, (name, ending, content) in enumerate(specials(good, units=50_000)):
        folder = tmp_path / str(number)
        folder.mkdir()
        said, wrong = evaluate(folder, ending, content, "--passes", "1")
        assert wrong is None, f"{name}: {wrong}"
        if name in REFUSED:
            assert said.startswith("error: "), name
            assert REFUSED[name] in said, name
    # The next one goes on.
    target = tmp_path / "better.mp4"
    call = next(path for path in good if path.suffix == ".mp4")
    assert main(["--input", str(call), "--output", str(target)]) == 0
    assert len(times_of(target)) == 25


def test_damage_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_stages(monkeypatch)
    good = good_ones(tmp_path / "good")
    for number, (name, ending, content) in enumerate(islice(randoms(good, SEED), RANDOMS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, wrong = evaluate(folder, ending, content, "--passes", "1")
        assert wrong is None, f"{name}: {wrong}"
