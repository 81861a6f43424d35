"""Export and release: the weights are kept, and what is shipped says what it was trained on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from engines.hime import release
from engines.hime.attribution import BEGIN, END, attribution, credited
from engines.hime.checkpoint import load_network
from engines.hime.export import export
from engines.hime.licences import OPEN
from engines.hime.model import Config, Hime
from engines.weights.manifest import WEIGHTS, read_manifest, weights_files

CC0: dict[str, Any] = {
    "source": "site/one",
    "authors": "its | authors",
    "licence": "CC0-1.0",
    "tier": "A",
    "people": 2,
    "photos": 5,
}
CC_BY = CC0 | {"source": "site/two", "licence": "CC-BY-4.0", "people": 0}
CARD = f"# Card\n\n{BEGIN}\nold\n{END}\n\n## Limits\n"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, released as open weights: the exporter takes 20 s of a processor."""
    folder = prepared(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(release, "scores", lambda weights, val: {})
        assert release.main(checkpoint(folder, [CC0, CC_BY])) == 0
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with notes; `checkpoint` puts a network beside them."""
    return prepared(tmp_path)


def prepared(folder: Path) -> Path:
    (folder / "note.json").write_text(json.dumps({"loss": "Charbonnier"}))
    (folder / "out").mkdir()
    (folder / "out" / release.CARD).write_text(CARD)
    return folder


def a_network() -> Hime:
    torch.manual_seed(0)
    network = Hime(Config(scale=8)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:  # fresh biases stay equal: the exporter merges them
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return network


def checkpoint(run: Path, origins: list[dict[str, Any]] | None) -> list[str]:
    network = a_network()
    state = {"ema": network.state_dict(), "config": asdict(network.config), "samples": 64}
    torch.save(state | {"origins": origins}, run / "checkpoint.pt")
    return [
        *("--run", str(run), "--val", str(run), "--note", str(run / "note.json")),
        *("--out", str(run / "out"), "--weights", "open"),
    ]


def test_open_weights_are_released_with_their_credit(released: Path) -> None:
    entry = read_manifest(released / "out")["networks"]["hime_x8_open"]
    assert entry["training"]["data"] == [CC0, CC_BY]
    assert entry["training"]["licence"] == "CC-BY-4.0"
    assert entry["training"]["samples"] == 64
    assert weights_files(8, released / "out", weights="open")[0].name == "hime_x8_open.encode.onnx"
    card = (released / "out" / release.CARD).read_text()
    assert "| site/one | its \\| authors | CC0-1.0 | 2 | 5 | A |\n" in card
    assert "| site/two | its \\| authors | CC-BY-4.0 | - | 5 | A |\n" in card
    assert "old" not in card
    assert card.endswith(f"{END}\n\n## Limits\n")


def test_export_keeps_the_weights(released: Path) -> None:
    # The export has compared the outputs itself.
    encode, enhance = weights_files(8, released / "out", weights="open")
    back = load_network(enhance).state_dict()
    for name, value in a_network().state_dict().items():
        assert torch.equal(back[name], value), name
    model = onnx.load(enhance)
    assert {o.version for o in model.opset_import if o.domain == ""} == {19}
    assert "GridSample" in {node.op_type for node in model.graph.node}
    assert b"site-packages" not in enhance.read_bytes()
    with pytest.raises(ValueError, match="expected a training checkpoint"):
        load_network(encode)


def test_a_damaged_export_is_said_in_one_line(released: Path, tmp_path: Path) -> None:
    encode, enhance = weights_files(8, released / "out", weights="open")
    for cut, size in ((enhance, 1000), (enhance, 0), (encode, 100_000), (encode, 0)):
        for path in (encode, enhance):
            data = path.read_bytes()
            (tmp_path / path.name).write_bytes(data[:size] if path == cut else data)
        with pytest.raises(ValueError, match=r"no ONNX file|holds no (whole )?HIME network"):
            load_network(tmp_path / enhance.name)


def test_export_says_what_it_is_not(tmp_path: Path) -> None:
    for config in (Config(aggregation="maximum"), Config(alignment="deformable")):
        with pytest.raises(
            ValueError, match=r"^only the product's kind of network is exported, not .*$"
        ):
            export(Hime(config), tmp_path, "other")
    assert not list(tmp_path.glob("other*"))


@pytest.mark.parametrize(
    ("origins", "words"),
    [
        (None, "does not say what it was trained on"),
        ([CC0, CC_BY | {"licence": "Pexels"}], "what is not open: site/two"),
    ],
)
def test_nothing_else_is_released_as_open(
    origins: list[dict[str, Any]] | None,
    words: str,
    run: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert release.main(checkpoint(run, origins)) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in (run / "out").iterdir()] == [release.CARD]
    assert (run / "out" / release.CARD).read_text() == CARD


def test_a_card_without_a_place_for_the_credit_is_refused() -> None:
    with pytest.raises(ValueError, match="the model card has no"):
        credited("# Card\n", [CC0])


def test_the_shipped_card_and_manifest_name_open_sources_alone() -> None:
    networks = read_manifest()["networks"]
    rows = [
        row
        for name, entry in networks.items()
        if name.endswith("_open")
        for row in entry["training"]["data"]
    ]
    assert {row["licence"] for row in rows} <= set(OPEN)
    card = (WEIGHTS / release.CARD).read_text(encoding="utf-8")
    assert credited(card, [CC0]).count(attribution([CC0])) == 1
    assert all(f"| {row['source']} |" in card for row in rows)
