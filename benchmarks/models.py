"""The benchmark models by name: `python -m benchmarks.models NAME FOLDER` writes one and prints its path.

The harness starts it as a process of its own, so that it imports neither onnx nor numpy itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

from benchmarks.decoder import DYNAMIC, STATIC, Config, Dims, decoder
from benchmarks.networks import chain, resnet50
from benchmarks.randwire import randwire
from benchmarks.sketch import WEIGHTS_FILE, Sketch, Weight, save, write_hole

INLINE_BYTES = 1_900_000_000  # under the 2 GiB that protobuf allows


def _is_big(weight: Weight) -> bool:
    return weight.data is None


def absent(path: Path, dims: Dims = STATIC) -> None:
    """Weights in an external file that is not there."""
    save(decoder(Config(), dims), path, external=_is_big)


def dynamic(path: Path) -> None:
    absent(path, DYNAMIC)


def external(path: Path) -> None:
    """Weights in a sparse file of 13.5 GB beside the model."""
    write_hole(path.with_name(WEIGHTS_FILE), save(decoder(Config(), STATIC), path, external=_is_big))


def inline(path: Path) -> None:
    """The same graph, the first 1.9 GB of weights inside the file and the rest in one that is missing."""
    sketch = decoder(Config(), STATIC)
    outside = _beyond(sketch, INLINE_BYTES)
    save(sketch, path, external=lambda weight: weight.name in outside)


def single(path: Path) -> None:
    """All 13.5 GB inside one file: past what protobuf and ONNX Runtime can open."""
    save(decoder(Config(), STATIC), path)


def _beyond(sketch: Sketch, limit: int) -> frozenset[str]:
    """The weights that do not fit, counted from the first one used."""
    totals = accumulate(weight.nbytes for weight in sketch.weights.values())
    return frozenset(
        w.name for w, total in zip(sketch.weights.values(), totals, strict=True) if _is_big(w) and total > limit
    )


DECODERS: dict[str, Callable[[Path], None]] = {
    "decoder7b-absent": absent,
    "decoder7b-external": external,
    "decoder7b-inline": inline,
    "decoder7b-single": single,
    "decoder7b-dynamic": dynamic,
}


def write(name: str, folder: Path) -> Path:
    """Every model has a folder of its own: `weights.bin` beside one must not be found by another."""
    path = folder / name / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in DECODERS:
        DECODERS[name](path)
    elif name == "resnet50":
        save(resnet50(), path)
    elif name.startswith("chain-"):
        save(chain(int(name.removeprefix("chain-"))), path)
    elif name.startswith("randwire-"):
        save(randwire(int(name.removeprefix("randwire-"))), path)
    else:
        raise SystemExit(f"no benchmark model {name!r}: {', '.join(DECODERS)}, resnet50, chain-N, randwire-N")
    return path


if __name__ == "__main__":
    print(write(sys.argv[1], Path(sys.argv[2])))
