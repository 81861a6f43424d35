"""The calls of TensorRT, type-checked against the real bindings of three versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tensorrt_api import CannotCheckError, check, readable

VERSIONS = ("10.13.3.9", "10.16.1.11", "11.4.0.106")


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config) -> Path:
    """Kept between runs: the wheels come from the network once."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("tensorrt-api")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_call_exists_in(version: str, folder: Path) -> None:
    try:
        errors = check(version, folder)
    except CannotCheckError as error:
        pytest.skip(f"TensorRT {version}: {error}")
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("execute_async_v3(", "execute_async_v2(", "execute_async_v2"),
        ("trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED", "trt.BuilderFlag.INT8", "INT8"),
    ],
)
def test_a_wrong_call_is_found(right: str, wrong: str, error: str, folder: Path) -> None:
    try:
        errors = check(VERSIONS[-1], folder, (right, wrong))
    except CannotCheckError as reason:
        pytest.skip(str(reason))
    assert any(error in line for line in errors), errors


def test_types_that_do_not_parse_are_mended() -> None:
    text = readable("class A:\n    def f(self, x: <T>) -> int:\n        ...\n    b: <T> = 1\n")
    compile(text, "stub", "exec")
    assert "def f(self, *args: typing.Any" in text
    assert "b: typing.Any" in text
