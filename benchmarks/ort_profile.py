"""`python -m benchmarks.ort_profile MODEL LEVEL SHAPES`: one run of ONNX Runtime, and what its allocator gave, as JSON.

LEVEL is "plain" (ORT_DISABLE_ALL) or "optimized" (ORT_ENABLE_ALL), SHAPES a JSON object of input shapes. External
weights that are missing become files of zeros (sparse, in a temporary folder). The figures are those of ONNX Runtime's
own profile: bytes requested of its allocator after every node (`mem_bytes_requested_in_use`), above what was in use
when the run began (weights), and the peak of what its allocator gave (`mem_in_use_peak`, chunks rounded up), which
holds the workspaces too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LEVELS = {"plain": "ORT_DISABLE_ALL", "optimized": "ORT_ENABLE_ALL"}
MEMORY = 8 << 30


@dataclass(frozen=True)
class Profile:
    """Bytes above those of the weights: after every node (`requested`, in order, beside `nodes`: operator and name),
    and at the peak of the allocator (`given`); `held` is what it took from the system for all of it."""

    nodes: tuple[tuple[str, str], ...]
    requested: tuple[int, ...]
    given: int
    held: int

    @property
    def peak(self) -> int:
        return max(self.requested)


def profile(model: Path, level: str, shapes: dict[str, list[int]] | None = None) -> Profile:
    """One run of a model whose weights are there. Raises what onnxruntime raises."""
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="effaudit-profile-") as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[level])
        options.enable_mem_pattern = False  # else one block for all tensors is asked for ahead, from the second run on
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        session.run(None, {i.name: _fed(i, (shapes or {}).get(i.name)) for i in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    return _read([event for event in events if event.get("cat") == "Node"])


def _fed(given: Any, shape: list[int] | None) -> Any:
    import numpy as np

    kind = given.type.removeprefix("tensor(").removesuffix(")")
    dtype = {"float": "float32", "double": "float64"}.get(kind, kind)
    sizes = [dim if isinstance(dim, int) else 1 for dim in given.shape] if shape is None else shape
    return np.ones(sizes, dtype)


def _read(events: list[dict[str, Any]]) -> Profile:
    rows = [{key: event["args"][key] for key in event["args"] if key.startswith("mem_")} for event in events]
    first = rows[0]
    base = int(first["mem_bytes_requested_in_use"]) - int(first["mem_requested_in_use_delta"])
    given = int(first["mem_bytes_in_use"]) - int(first["mem_in_use_delta"])
    return Profile(
        nodes=tuple((event["args"]["op_name"], event["name"].removesuffix("_kernel_time")) for event in events),
        requested=tuple(int(row["mem_bytes_requested_in_use"]) - base for row in rows),
        given=int(rows[-1]["mem_in_use_peak"]) - given,
        held=int(rows[-1]["mem_arena_held"]),
    )


def filled(model: Path, folder: Path) -> Path:
    """The model beside files of zeros for its missing external weights."""
    import onnx
    from onnx.external_data_helper import _get_all_tensors

    loaded = onnx.load(str(model), load_external_data=False)
    ends: dict[str, int] = {}
    for tensor in _get_all_tensors(loaded):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entry = {item.key: item.value for item in tensor.external_data}
            end = int(entry.get("offset", 0)) + int(entry.get("length", 0))
            ends[entry["location"]] = max(ends.get(entry["location"], 0), end)
    if not ends or all((model.parent / location).exists() for location in ends):
        return model
    for location, end in ends.items():
        (folder / location).parent.mkdir(parents=True, exist_ok=True)
        with open(folder / location, "wb") as file:
            file.truncate(end)
    copy = folder / "model.onnx"
    copy.write_bytes(model.read_bytes())
    return copy


def main(model: str, level: str, shapes: str) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory(prefix="effaudit-filled-") as folder:
        print(json.dumps(asdict(profile(filled(Path(model), Path(folder)), level, json.loads(shapes)))))


if __name__ == "__main__":
    main(*sys.argv[1:4])
