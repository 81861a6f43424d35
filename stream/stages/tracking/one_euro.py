"""OneEuro: the one-euro filter: steady when a value rests, quick when it moves.

Source: Casiez, Roussel, Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems", CHI 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass
class OneEuro:
    """Low-pass filter of a vector whose cut-off rises with the vector's own speed.

    A value that moves steadily is followed with a lag of at most 1 / (2 pi beta), in units of the
    value (or of `unit`): that, and the noise left at rest, are what the two parameters trade.
    """

    min_cutoff_hz: float
    """Cut-off at rest: lower is steadier."""
    beta: float
    """Hz of cut-off per unit of speed (value per second): higher lags less."""
    speed_cutoff_hz: float = 1.0
    """Cut-off of the speed's own filter; the paper's 1 Hz."""
    max_lag: float = math.inf
    """The result is never farther than this from the value (in `unit`). Ours, not the paper's: its
    filter needs some tenths of a second to notice that a resting value has set off."""
    _value: Vector | None = field(default=None, init=False)
    _raw: Vector | None = field(default=None, init=False)
    _speed: Vector | None = field(default=None, init=False)
    _time_s: float = field(default=0.0, init=False)

    def __call__(self, value: Vector, time_s: float, unit: float = 1.0) -> Vector:
        """The filtered value.

        Args:    value: float64 (n,), the same n at every call.
                 time_s: when it was measured; must rise from call to call. A time that does not
                 is answered with the last result, unchanged.
                 unit: what `beta` counts speed in, e.g. the width of the face for its place in px.
        Returns: float64 (n,).
        """
        if self._value is None or self._raw is None or self._speed is None:
            self._value, self._raw, self._time_s = value.copy(), value.copy(), time_s
            self._speed = np.zeros_like(value)
            return self._value
        dt = time_s - self._time_s
        if dt <= 0.0:
            return self._value
        # The paper's own implementation takes the speed against the last *filtered* value; against
        # the last raw one a lag cannot feed itself.
        speed = (value - self._raw) / dt
        weight = _weight(self.speed_cutoff_hz, dt)
        self._speed = weight * speed + (1.0 - weight) * self._speed
        # One cut-off for the whole vector: a face that moves sideways keeps its direction.
        cutoff_hz = self.min_cutoff_hz + self.beta * float(np.linalg.norm(self._speed)) / unit
        weight = _weight(cutoff_hz, dt)
        self._value = weight * value + (1.0 - weight) * self._value
        lag = float(np.linalg.norm(value - self._value)) / unit
        if lag > self.max_lag:
            self._value = value + (self._value - value) * (self.max_lag / lag)
        self._raw, self._time_s = value.copy(), time_s
        return self._value


def _weight(cutoff_hz: float, dt_s: float) -> float:
    """Weight of the new sample in a first-order low-pass filter."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt_s))
