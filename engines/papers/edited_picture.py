"""Edited pictures say so: in the picture, in its name, and in its metadata."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.files import write_whole

Image = NDArray[np.uint8]
ENDING = ".edited.png"
NOTE = "EDITED"
NOTE_PX = 16
"""Height of the band below the picture."""
STATEMENT = (
    "Edited by AI: this face was made from a small picture with close-ups that need not be of the "
    "same person or time. It does not show what the camera saw."
)
# IPTC's vocabulary of how a picture came about, as XMP; a composite with what a network has made
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
    'compositeWithTrainedAlgorithmicMedia"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_HEAD = 8 + 25
"""Bytes of a PNG's signature and its first chunk, IHDR."""


def with_note(picture: Image) -> Image:
    """The picture, RGB uint8 (H, W, 3), with a band below it that says that it was edited."""
    wide = picture.shape[1]
    band = np.full((NOTE_PX, wide, 3), (200, 0, 0), np.uint8)
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    (width, _), _ = cv2.getTextSize(NOTE, font, size, 1)
    place = (max(1, (wide - width) // 2), NOTE_PX - 4)
    cv2.putText(band, NOTE, place, font, size, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate((picture, band))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _text(keyword: str, text: str) -> bytes:
    """An international text chunk, uncompressed (PNG, section 11.3.3.4)."""
    return _chunk(b"iTXt", keyword.encode() + b"\0\0\0\0\0" + text.encode())


def write(path: Path, picture: Image) -> None:
    """Write RGB uint8 (H, W, 3) with note and metadata.

    Raises: ValueError: the name does not end in `ENDING`: a picture that was edited says so.
            OSError.
    """
    if not path.name.endswith(ENDING):
        raise ValueError(f"{path}: the name of an edited picture ends in {ENDING}")
    done, data = cv2.imencode(".png", np.ascontiguousarray(with_note(picture)[:, :, ::-1]))
    assert done, "OpenCV writes PNG"
    png = data.tobytes()
    told = _text("Comment", STATEMENT) + _text("XML:com.adobe.xmp", XMP)
    write_whole(path, png[:_HEAD] + told + png[_HEAD:])
