"""The demo's sound: somebody hums a few phrases in a quiet room; a soft chime when she rolls back.

Synthesised from a seed, so that the demo carries a real track without carrying a recording.
"""

from __future__ import annotations

import math

import numpy as np

from stream.frame import Floats

SOUND_RATE_HZ = 48_000
# (start s, length s, pitch Hz, the two main resonances Hz)
_SYLLABLES = (
    (0.35, 0.30, 196.0, 650.0, 1080.0), (0.72, 0.26, 220.0, 420.0, 1900.0),
    (1.05, 0.52, 208.0, 560.0, 920.0), (1.95, 0.28, 233.0, 360.0, 2200.0),
    (2.30, 0.34, 220.0, 680.0, 1150.0), (2.72, 0.60, 185.0, 480.0, 1700.0),
    (6.45, 0.30, 208.0, 520.0, 1500.0), (6.82, 0.28, 233.0, 650.0, 1080.0),
    (7.18, 0.50, 196.0, 400.0, 2000.0), (8.05, 0.32, 220.0, 600.0, 1000.0),
    (8.45, 0.58, 175.0, 450.0, 1800.0),
)  # fmt: skip
_CHIME = ((4.2, 659.3), (4.55, 880.0), (5.9, 587.3))


def make_sound(duration_s: float, seed: int = 3) -> Floats:
    """A quiet sound track: float32 (n,), mono, -1..1, at SOUND_RATE_HZ; the same every time."""
    total = round(duration_s * SOUND_RATE_HZ)
    sound = _room_tone(total, seed)
    for start_s, length_s, pitch_hz, low_hz, high_hz in _SYLLABLES:
        _add(sound, start_s, _syllable(length_s, pitch_hz, low_hz, high_hz))
    for start_s, pitch_hz in _CHIME:
        _add(sound, start_s, _bell(1.6, pitch_hz))
    return np.asarray(np.clip(sound, -1.0, 1.0), np.float32)


def _add(sound: Floats, start_s: float, piece: Floats) -> None:
    start = round(start_s * SOUND_RATE_HZ)
    room = max(0, min(len(piece), len(sound) - start))
    sound[start : start + room] += piece[:room]


def _room_tone(total: int, seed: int) -> Floats:
    noise = np.random.default_rng(seed).standard_normal(total).astype(np.float32)
    window = np.hanning(65).astype(np.float32)
    return np.asarray(0.004 * np.convolve(noise, window / window.sum(), "same"), np.float32)


def _syllable(length_s: float, pitch_hz: float, low_hz: float, high_hz: float) -> Floats:
    """Harmonics of a gliding voice, shaped by two resonances."""
    t = np.arange(round(length_s * SOUND_RATE_HZ), dtype=np.float64) / SOUND_RATE_HZ
    glide = pitch_hz * (1.0 - 0.08 * t / length_s) * (1.0 + 0.008 * np.sin(2 * math.pi * 5.5 * t))
    phase = 2 * math.pi * np.cumsum(glide) / SOUND_RATE_HZ
    voice = np.zeros_like(t)
    for harmonic in range(1, 15):
        tone_hz = harmonic * pitch_hz
        gain = math.exp(-(((tone_hz - low_hz) / 220.0) ** 2))
        gain += 0.4 * math.exp(-(((tone_hz - high_hz) / 320.0) ** 2)) + 0.15 / harmonic
        voice += gain * np.sin(harmonic * phase)
    envelope = np.sin(math.pi * np.clip(t / length_s, 0.0, 1.0)) ** 0.7
    return np.asarray(0.055 * voice * envelope, np.float32)


def _bell(length_s: float, pitch_hz: float) -> Floats:
    t = np.arange(round(length_s * SOUND_RATE_HZ), dtype=np.float64) / SOUND_RATE_HZ
    attack = 1.0 - np.exp(-t / 0.004)
    release = np.clip((length_s - t) / 0.2, 0.0, 1.0)
    tone = np.sin(2 * math.pi * pitch_hz * t) * np.exp(-t / 0.45)
    tone += 0.35 * np.sin(2 * math.pi * 2.76 * pitch_hz * t) * np.exp(-t / 0.18)
    return np.asarray(0.06 * tone * attack * release, np.float32)
