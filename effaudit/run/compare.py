"""How far the outputs of variants of a model lie from its own, summed up in the process that runs them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.graph import Graph
from effaudit.run.execute import DEFAULT_LIMITS
from effaudit.run.process import Job, Limits, memory_limit, named, on_disk, start, workplace, write_feeds
from effaudit.save import save_model

if TYPE_CHECKING:
    import numpy as np

TOGETHER_BYTES: Final = 1 << 30  # of variants on disk at a time
_ENDLESS: Final = 1e300  # what the process says where a sum is infinite


class Deviation(msgspec.Struct, frozen=True):
    """What separates the outputs of a variant from those of its model, over all inputs.

    `noise` and `signal` hold for each floating output the sum of the squared differences and of the squared elements;
    `refused` says why the variant did not run ("" where it did). Outputs that are not floating are not compared.
    """

    noise: Mapping[str, float]
    signal: Mapping[str, float]
    refused: str = ""

    @property
    def relative(self) -> float:
        """Noise over signal, the mean over the outputs; infinite where one is not finite, or is noise alone."""
        if self.refused:
            return inf
        shares = [_share(noise, self.signal[name]) for name, noise in self.noise.items()]
        return sum(shares) / len(shares) if shares else 0.0


def _share(noise: float, signal: float) -> float:
    if noise == 0:
        return 0.0
    return noise / signal if signal > 0 and noise < _ENDLESS else inf


def deviations(
    model: Graph | str | os.PathLike[str],
    variants: Iterable[Graph],
    feeds: Iterable[Mapping[str, np.ndarray]],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> list[Deviation]:
    """How far each of `variants` (rewritten graphs with the same inputs and outputs) lies from `model` over `feeds`.

    Variants are saved and run many to a process, as many as TOGETHER_BYTES of disk hold; only sums come back. `limits`
    are those of one process. Raises RunError where the model itself does not run or a process ends badly, UsageError
    for feeds that are none and a graph that cannot be saved, LoadError.
    """
    name = named(model)
    with workplace() as folder:
        path = on_disk(model, folder)
        count, inputs = write_feeds(feeds, folder, name)
        found: list[Deviation] = []
        for files in _saved(variants, folder):
            job = Job(
                task="compare",
                model=path,
                feeds=count,
                inputs=inputs,
                outputs=None,
                optimize="none",
                seconds=limits.seconds,
                memory_bytes=memory_limit(limits),
                threads=limits.threads,
                variants=tuple(files),
            )
            found += [msgspec.convert(one, Deviation) for one in start(job, folder, name)]
            for file in (*files, *(f"{file}.data" for file in files)):
                if os.path.exists(file):
                    os.remove(file)
        return found


def _saved(variants: Iterable[Graph], folder: str) -> Iterator[list[str]]:
    """The files of the variants, a few at a time."""
    files: list[str] = []
    size = 0
    for variant in variants:
        file = os.path.join(folder, f"variant-{len(files)}.onnx")
        save_model(variant, file)
        files.append(file)
        size += sum(os.path.getsize(one) for one in (file, f"{file}.data") if os.path.exists(one))
        if size > TOGETHER_BYTES:
            yield files
            files, size = [], 0
    if files:
        yield files
