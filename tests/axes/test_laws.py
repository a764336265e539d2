"""Pruned networks compute what the whole ones do without the channels that went: ONNX Runtime is the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effaudit.audited import Audited, examine, examined
from effaudit.save import save_model
from effaudit.whatif.prune.channels import Channels, rewrite
from tests.axes.masked import chosen, grouped, masked
from tests.axes.nets import NETS
from tests.whatif.running import run

# Lengths of the groups that may be pruned, in the order of their makers; brackets: parts of others that go whole.
WANTED = {
    "residual": [8, 6],
    "depthwise": [12, 6],
    "depth_multiplier": [6],
    "groups_of_channels": [4, 7],
    "dense_block": [8, 8, 4, 8, 4, 8, 4],
    "split_and_join": [2, 4, 6, 5, 6],
    "halves": [6, 6],
    "shuffle": [4, 4, 8, 6],
    "flattened": [6, 10],
    "flattened_by_shape": [6, 10],
    "computed_sizes": [6, 6],
    "squeeze_excite": [12, 4],
    "decoder": [6, 10, 8, 6, 6],
    "grouped_transposed": [4, 6],
    "padded_shortcut": [6],
    "heads": [16, 4],
    "shared_heads": [16, 2],
    "packed_heads": [16, 4],
    "fused_heads": [16, 4],
    "packed_attention": [16, 4],
    "einsums": [16, 4, 3, 16],
    "embedded": [16, 12],
    "shared_vectors": [8, 8],
    "channels_last": [8, 12, 6],
    "interleaved": [8],
    "group_query": [16, 2],
    "attention_of_onnx": [16, 2],
    "group_norm": [4, 6],
    "group_norm_by_reshape": [4, 6],
    "resized": [6, 6],
    "reordered": [4, 4, 2, 6],
    "rotated": [8],
    "packed_weights": [4, 20],
}


def made(name: str, folder: Path) -> Audited:
    path = folder / f"{name}.onnx"
    model = NETS[name]()
    path.write_bytes(model.SerializeToString())
    return examine(path)


def fed(audited: Audited) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(3)
    found: dict[str, np.ndarray[Any, Any]] = {}
    for name in audited.raw.inputs:
        value = audited.graph.values[name]
        shape = tuple(int(dim) if isinstance(dim, int) else 2 for dim in value.shape or ())
        if value.encoding.dtype == "int64":
            found[name] = draw.integers(0, 11, shape)
        else:
            found[name] = draw.normal(size=shape).astype(value.encoding.dtype)
    return found


@pytest.mark.parametrize("name", NETS)
def test_channels_that_go_are_as_if_zero(name: str, tmp_path: Path) -> None:
    audited = made(name, tmp_path)
    found, every = grouped(audited)
    assert [group.length for group in every.values() if not group.blocked] == WANTED[name]
    gone = chosen(every, seed=len(name))
    change = rewrite(audited, Channels(criterion="indices", indices=gone))
    assert {d.name: d.figures["channels_after"] for d in change.details} == {
        group: every[group].length - len(places) for group, places in gone.items()
    }
    save_model(masked(audited, found, every, gone), tmp_path / "masked.onnx")
    save_model(change.graph, tmp_path / "pruned.onnx")
    feeds = fed(audited)
    whole, few = (run(tmp_path / f"{which}.onnx", feeds) for which in ("masked", "pruned"))
    assert np.ptp(whole[0]) > 1e-3
    np.testing.assert_allclose(few[0], whole[0], rtol=1e-4, atol=1e-5)
    pruned = examined(change.graph)
    before, after = audited.table.total("macs").value, pruned.table.total("macs").value
    assert isinstance(before, int) and isinstance(after, int) and after < before


def test_sizes_that_are_fed_stay_open(tmp_path: Path) -> None:
    audited = made("flattened_by_shape", tmp_path)
    change = rewrite(audited, Channels(criterion="indices", indices={"Conv_0": (0, 1, 2)}))
    save_model(change.graph, tmp_path / "pruned.onnx")
    for batch in (1, 3):
        (found,) = run(tmp_path / "pruned.onnx", {"x": np.ones((batch, 3, 4, 4), np.float32)})
        assert found.shape == (batch, 4)
