"""Why a parameter count differs from the framework's, for every file of the corpus where it does."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDED: Final = "folded norm"
MERGED: Final = "bias merged into a folded norm"
CLASSES: Final[Mapping[str, str]] = {
    FOLDED: "The exporter folded a batch norm into the convolution before it. Scale and shift are gone, one bias per "
    "channel is new: each folded norm lacks one parameter per channel.",
    MERGED: "The convolution before a folded norm had a bias of its own, which went into the new one: one more "
    "parameter per channel is gone.",
    "table made from a parameter": "The exporter expanded a table of relative position biases to one value per pair of "
    "positions and left the table out. What stands in the file is a constant that is added to scores, no parameter.",
    "constant folded by an optimizer": "An optimizer looked the positions and token types up ahead: the file holds the "
    "rows that were picked, not the tables.",
    "duplicated tied tensor": "The framework uses one tensor twice; the file holds it a second time, transposed.",
    "buffer that acts as a weight": "The framework calls a part of a bias a buffer (the zeros of the key bias); in the "
    "file it is one bias with the rest.",
    "constant counted as a weight": "A constant of the program is added or multiplied like a learned vector: image "
    "mean and deviation, anchor boxes, positions, one row of a mask, a shift of zeros. Nothing in the graph tells "
    "it from a parameter.",
}
_FILE: Final = Path(__file__).with_name("params.csv")


def explained() -> dict[str, dict[str, int]]:
    """file -> class -> our count minus the framework's."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with open(_FILE, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["class"] in found[row["file"]]:
                raise ValueError(f"{row['file']}: two rows of class {row['class']!r}")
            found[row["file"]][row["class"]] = int(row["difference"])
    return dict(found)
