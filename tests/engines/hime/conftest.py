"""What the tests of the network share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.hime.model import Hime


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an untrained network, scale 4."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save({"ema": Hime().state_dict()}, path)
    return path
