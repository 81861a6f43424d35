"""Licences of training pictures: which may be used, and the credit of what was used.

A sources file is a CSV with a row for every picture and at least the columns `file`, `repository`,
`licence` and `author`; `tier`, how sure the licence is, may be there. `file` begins with the name
of the zip (without `.zip`) or folder that is given to training, as in
`people_256/person/photo.jpg`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

CC0, CC_BY_4, CC_BY = "CC0-1.0", "CC-BY-4.0", "CC-BY"
PUBLIC_DOMAIN = "public-domain"
PEXELS, UNSPLASH, PIXABAY = "Pexels", "Unsplash", "Pixabay"

SPELLINGS = {
    "CC0": CC0,
    "CC0-1.0": CC0,
    "CC0-1.0 (all content on this site unless otherwise specified)": CC0,
    "CC0-1.0 (all content unless otherwise specified)": CC0,
    # Pexels gave its photos under CC0 until 2018
    "CC0 (Pexels)": CC0,
    "public domain (US government work) + CC0-1.0 worldwide": CC0,
    "public domain + CC0-1.0, except images noted on their pages": CC0,
    "public domain (works of US federal employees)": PUBLIC_DOMAIN,
    "public domain ('All assets are public domain')": PUBLIC_DOMAIN,
    "CC BY 4.0": CC_BY_4,
    "CC-BY-4.0": CC_BY_4,
    "CC BY 4.0 (site)": CC_BY_4,
    "CC BY 4.0 (site content)": CC_BY_4,
    "CC BY 4.0 (repository)": CC_BY_4,
    "CC BY 4.0 (GRID, Zenodo 3625687)": CC_BY_4,
    "CC BY 4.0 (except where otherwise noted)": CC_BY_4,
    "CC BY 4.0 (except where noted)": CC_BY_4,
    # no version is named
    "CC BY": CC_BY,
    "CC BY (except where otherwise noted)": CC_BY,
    "Pexels licence": PEXELS,
    "Unsplash licence": UNSPLASH,
    "Pixabay licence": PIXABAY,
}
"""Licences as sources state them → one name each: SPDX's where there is one."""
OPEN = (CC0, PUBLIC_DOMAIN, CC_BY_4, CC_BY)
"""Those of the shipped open weights. Stock sites' licences are none of them: Pexels' terms exclude
machine learning, Unsplash's help says that it is restricted, what Pixabay's say of it is not known,
and by which terms a mirrored file is bound cannot be found out."""
NEEDED = ("file", "repository", "licence", "author")


def normalised(stated: str) -> str:
    """One name for a licence, however a source spells it.

    Raises: ValueError: the spelling is not known.
    """
    found = SPELLINGS.get(" ".join(stated.split()))
    if found is None:
        raise ValueError(f"unknown licence {stated!r}")
    return found


def licence_list(text: str) -> tuple[str, ...]:
    """The value of --licences: normalised names with commas between; "open": those of `OPEN`.

    Raises: ValueError: a name is none of the normalised ones.
    """
    if text == "open":
        return OPEN
    known = sorted(set(SPELLINGS.values()))
    names = tuple(word.strip() for word in text.split(","))
    for name in names:
        if name not in known:
            raise ValueError(f"no licence {name!r}; there are: open, {', '.join(known)}")
    return names


@dataclass(frozen=True)
class Origin:
    """Where a picture is from."""

    repository: str
    licence: str
    """Normalised."""
    author: str
    tier: str


@dataclass(frozen=True)
class Permit:
    """What a run may use: pictures of these licences, as a sources file states them."""

    licences: tuple[str, ...]
    origins: dict[str, Origin]

    @classmethod
    def read(cls, sources: Path, licences: tuple[str, ...]) -> Permit:
        """Read a sources file.

        Raises: ValueError: a column is missing, or a licence is not known. OSError.
        """
        origins = {}
        with sources.open(newline="", encoding="utf-8") as text:
            reader = csv.DictReader(text)
            try:
                rows = list(reader)
            except (UnicodeDecodeError, csv.Error) as error:
                raise ValueError(f"{sources}: no CSV file in UTF-8 ({error})") from error
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{sources}: no column {', '.join(missing)}")
            for row in rows:
                try:
                    licence = normalised(row["licence"] or "")
                except ValueError as error:
                    raise ValueError(f"{sources}: {row['file']}: {error}") from error
                origins[row["file"]] = Origin(
                    row["repository"], licence, row["author"], row.get("tier") or ""
                )
        return cls(licences, origins)

    def origin(self, source: Path, name: str) -> Origin:
        """Where a picture is from.

        Args:   source: the zip or folder that has it. name: its path in there.
        Raises: ValueError: the sources file does not name it.
        """
        key = str(PurePosixPath(source.name.removesuffix(".zip"), name))
        found = self.origins.get(key)
        if found is None:
            raise ValueError(f"{source}: {name} has no licence: no row of {key} in --sources")
        return found

    def allows(self, source: Path, name: str) -> bool:
        """Whether a picture may be used. Raises: ValueError: as `origin`."""
        return self.origin(source, name).licence in self.licences


@dataclass
class Credits:
    """What was really used: pictures and people by repository, licence, authors and tier."""

    pictures: Counter[Origin] = field(default_factory=Counter)
    people: dict[Origin, set[str]] = field(default_factory=dict)

    def add(self, origin: Origin, person: str | None) -> None:
        """Count a picture. Args: person: None: it shows nobody."""
        self.pictures[origin] += 1
        known = self.people.setdefault(origin, set())
        if person is not None:
            known.add(person)

    def rows(self) -> list[dict[str, Any]]:
        """For a manifest; the same pictures give the same rows, in the same order."""
        return [
            {
                "source": origin.repository,
                "authors": origin.author,
                "licence": origin.licence,
                "tier": origin.tier,
                "people": len(self.people[origin]),
                "photos": count,
            }
            for origin, count in sorted(
                self.pictures.items(),
                key=lambda one: (one[0].repository, one[0].licence, one[0].author, one[0].tier),
            )
        ]


def refused(rows: Iterable[dict[str, Any]], licences: tuple[str, ...]) -> list[str]:
    """Sources, among rows of `Credits`, whose licence is not in the list."""
    return sorted({row["source"] for row in rows if row["licence"] not in licences})


def merged(*lists: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `Credits` of several runs: each origin once, with its largest numbers."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in (row for rows in lists for row in rows):
        key = (row["source"], row["licence"], row["authors"], row["tier"])
        known = found.get(key, row)
        found[key] = row | {name: max(row[name], known[name]) for name in ("people", "photos")}
    return [found[key] for key in sorted(found)]
