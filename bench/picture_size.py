"""Picture size: what `--size` of the measuring programs takes."""

from __future__ import annotations

from stream.errors import ConfigError
from stream.image.resample import Size


def parse_size(
    text: str, least: Size = (64, 64), most: Size = (4096, 4096), *, even: bool = True
) -> Size:
    """(width, height) from a text like "1280x720".

    Args:   least, most: the smallest and the largest, px. even: whether both sides must be.
    Raises: ConfigError: it is no size, or out of range.
    """
    try:
        width, height = (int(side) for side in text.split("x"))
    except ValueError as error:
        raise ConfigError(f"--size {text} is no size; give one like 1280x720") from error
    fits = least[0] <= width <= most[0] and least[1] <= height <= most[1]
    if not fits or (even and (width % 2 or height % 2)):
        smallest, largest = (f"{one[0]}x{one[1]}" for one in (least, most))
        sides = "even sides, " if even else ""
        raise ConfigError(f"--size {text} is out of range; give {sides}{smallest} to {largest}")
    return width, height
