"""Titles: what a recording and its tracks say about themselves in words, and what may be kept."""

from __future__ import annotations

from collections.abc import Mapping

OF_THE_FILE = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
"""They describe the old file and not the recording."""
OF_THE_CODING = frozenset(
    {"encoder", "duration", "bps", "number_of_frames", "number_of_bytes"}
    | {"alpha_mode", "stereo_mode"}
)
"""They describe pictures as they were encoded before."""
QUICKTIME = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "sqi": "alb"}
"""Languages that mov knows by their other code (ISO 639-2/T → /B)."""
CREATED = "creation_time"
USUAL = frozenset(
    {"title", "artist", "album", "date", "comment", "genre"} | {"copyright", CREATED, "location"}
)
"""What every mp4 and mov keeps; other names need `use_metadata_tags`."""
WITH_COVER = USUAL | {
    *("album_artist", "composer", "grouping", "lyrics", "description", "synopsis", "show"),
    *("episode_id", "network", "keywords"),
}
"""What an mp4 with a cover keeps: FFmpeg writes covers and other names into the same place."""


def of_recording(metadata: Mapping[str, str]) -> dict[str, str]:
    """The titles of a recording without those of its file."""
    kept = {key: text for key, text in metadata.items() if key.lower() not in OF_THE_FILE}
    if CREATED in kept:
        # FFmpeg 9 joins the two places of an mp4 that have it.
        kept[CREATED] = kept[CREATED].partition(";")[0]
    return kept


def of_track(metadata: Mapping[str, str], kind: str) -> dict[str, str]:
    """The titles of a track, its language in the words of a kind of file (FFmpeg's name)."""
    kept = of_recording(metadata)
    if kind == "mov" and "language" in kept:
        kept["language"] = QUICKTIME.get(kept["language"], kept["language"])
    return kept


def of_pictures(metadata: Mapping[str, str]) -> dict[str, str]:
    """The titles of a track of pictures, which is encoded anew, without those of its coding."""

    def stale(key: str) -> bool:
        # Matroska's statistics come in languages, too: BPS-eng.
        plain = _plain(key)
        return plain in OF_THE_CODING or plain.startswith("_statistics")

    return {key: text for key, text in metadata.items() if not stale(key)}


def container_options(
    kind: str, titles: Mapping[str, str], *, cover: bool = False
) -> dict[str, str]:
    """Options with which a kind of file (FFmpeg's name) keeps these titles, and a cover.

    Args: kind: of file, FFmpeg's name. titles: the recording's metadata. cover: whether it has one.
    """
    needed = any(_plain(key) not in USUAL for key in titles) and kind in ("mp4", "mov")
    return {"movflags": "use_metadata_tags"} if needed and not (cover and kind == "mp4") else {}


def lost_beside_cover(kind: str, titles: Mapping[str, str]) -> list[str]:
    """Names of titles that this kind of file cannot hold if it has a cover, too."""
    if kind != "mp4":
        return []
    return sorted(key for key in titles if _plain(key) not in WITH_COVER)


def _plain(key: str) -> str:
    """A name without its language: "location" of "location-eng"."""
    return key.lower().partition("-")[0]
