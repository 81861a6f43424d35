"""PictureSettings: what people change while their picture runs."""

from __future__ import annotations

from stream.picture_options import DETAIL, STRENGTH


class PictureSettings:
    """Base of what drives a session for a program: values that are checked when set.

    Args:   strength, detail: 0..1 each.
    Raises: ConfigError: one is out of range.
    """

    def __init__(self, strength: float, detail: float) -> None:
        self._strength, self._detail = STRENGTH.check(strength), DETAIL.check(detail)

    @property
    def strength(self) -> float:
        """How much of the enhancement is shown, 0..1; setting it raises ConfigError."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._strength = STRENGTH.check(strength)
        self._settings_changed()

    @property
    def detail(self) -> float:
        """How much fine detail is shown, 0..1; setting it raises ConfigError."""
        return self._detail

    @detail.setter
    def detail(self, detail: float) -> None:
        self._detail = DETAIL.check(detail)
        self._settings_changed()

    def _settings_changed(self) -> None:
        """Hand them on; by default they wait for who asks."""
