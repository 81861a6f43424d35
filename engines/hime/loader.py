"""The batches of a training run, as its command line describes them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from engines.hime.checkpoint import load_network
from engines.hime.data import Batch, Batches, Recipe
from engines.hime.model import Hime
from engines.hime.origins import allowed_origins, permit_of


def guide_of(args: argparse.Namespace) -> Hime | None:
    """The network of --guide.

    Raises: ValueError: it does not fit the run, or was trained on other licences. OSError.
    """
    if args.guide is None:
        return None
    guide = load_network(args.guide)
    if args.alignment != "pixels" or guide.config.alignment != "pixels":
        raise ValueError("--guide is for --alignment pixels, and such a network")
    if guide.scale != args.scale:
        raise ValueError(f"--guide {args.guide} enlarges {guide.scale} times, not {args.scale}")
    allowed_origins([], [], args.guide, permit_of(args))
    return guide


def seed_worker(_: int) -> None:
    """One thread in a loader: the training has the other cores."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def as_it_is(batch: Any) -> Any:
    """A batch comes complete from the data set."""
    return batch


class DataError(ValueError):
    """A source of pictures cannot be read; says which, and why."""


class _Told(Dataset[Batch | str]):
    """Batches; where a source cannot be read, why: an error from another process would come with
    the traceback of that process."""

    def __init__(self, data: Batches) -> None:
        self._data = data

    def __getitem__(self, index: int) -> Batch | str:
        try:
            self._data.read()
        except (OSError, ValueError) as error:
            return str(error)
        return self._data[index]


def _read(loader: DataLoader[Batch | str]) -> Iterator[Batch]:
    for one in loader:
        if isinstance(one, str):
            raise DataError(one)
        yield one


def batches(args: argparse.Namespace, first: int) -> Iterator[Batch]:
    """The batches of steps `first` to the last, made by other processes ahead of time.

    Raises: DataError: at the first batch, a source of pictures cannot be read.
    """
    recipe = Recipe(
        scale=args.scale,
        sizes=tuple(args.sizes),
        size_weights=tuple(args.sizes.values()),
        half_until=round(args.steps * args.half),
        pixels=args.batch * 32 * 32,
        clean=args.clean,
        sharpened=args.sharpened,
        blurred=args.blurred,
        strange=args.strange,
        changed=args.changed,
        flip=args.flip,
        least_photos=args.least_photos,
        aligned=args.alignment == "pixels",
        made=args.made,
        variations=args.variations,
        photographs=args.photograph_share if args.photographs else 0.0,
        slots=tuple(args.slots),
        slot_weights=tuple(args.slots.values()),
    )
    data = Batches(
        args.data,
        recipe,
        args.seed,
        args.steps,
        args.photographs or (),
        permit_of(args),
        guide_of(args),
    )
    loader: DataLoader[Batch | str] = DataLoader(
        Subset(_Told(data), range(first, args.steps)),
        batch_size=None,
        num_workers=args.workers,
        prefetch_factor=4 if args.workers else None,
        worker_init_fn=seed_worker,
        collate_fn=as_it_is,
        # a fork would inherit the locks of this process's thread pools, and hang
        multiprocessing_context="spawn" if args.workers else None,
    )
    return _read(loader)
