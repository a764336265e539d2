"""`python -m benchmarks.zoo NAME FOLDER` writes one network and prints its path; without arguments, lists the names."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.zoo import NETWORKS, build
from benchmarks.zoo.tiny import SAMPLES

if __name__ == "__main__":
    print(build(sys.argv[1], Path(sys.argv[2])) if sys.argv[1:] else "\n".join([*SAMPLES, *NETWORKS]))
