"""Which weights become zero: by brute force, one element after another."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
import pytest

from effaudit.errors import UsageError
from effaudit.whatif.prune.sparsity import threshold

from .weights import BIAS, Index, arrays, grid, model, pruned, saved

ORDER = ("conv", "grouped", "depthwise", "transposed", "turned", "gemm", "transB", "left", "batched")


def without(array: np.ndarray, gone: set[Index]) -> np.ndarray:
    found = array.copy()
    for index in gone:
        found[index] = 0
    return found


def check(after: dict[str, np.ndarray], before: dict[str, np.ndarray], gone: dict[str, set[Index]]) -> None:
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], without(array, gone.get(name, set())), err_msg=name)


def by_magnitude(held: dict[str, np.ndarray], names: tuple[str, ...], share: Fraction) -> dict[str, set[Index]]:
    """The smallest of all these together, the first of equal ones first."""
    listed = [(abs(float(held[n][i])), at, i) for at, n in enumerate(names) for i in np.ndindex(held[n].shape)]
    listed.sort()
    found: dict[str, set[Index]] = {name: set() for name in names}
    for _, at, index in listed[: round(share * len(listed))]:
        found[names[at]].add(index)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("share", ["50%", "7.3%", "99.9%", "100%"])
def test_globally(share: str, coarse: bool, dtype: type, tmp_path: Path) -> None:
    path = saved(model(coarse=coarse, dtype=dtype), tmp_path)
    before = arrays(pruned(path, "sparsity=0%")[1].raw)
    change, audited = pruned(path, f"sparsity={share}")
    part = Fraction(share[:-1]) / 100
    order = tuple(detail.name for detail in change.details)
    assert sorted(order) == sorted(ORDER)
    check(arrays(audited.raw), before, by_magnitude(before, order, part))
    total = sum(array.size for array in before.values())
    zeros = sum(int((array == 0).sum()) for array in arrays(audited.raw).values())
    had = sum(int((array == 0).sum()) for array in before.values())
    assert zeros == max(round(part * total), had)


@pytest.mark.parametrize("coarse", [False, True])
def test_each_layer_alone(coarse: bool, tmp_path: Path) -> None:
    path = saved(model(coarse=coarse), tmp_path)
    before = arrays(pruned(path, "sparsity=0%")[1].raw)
    change, audited = pruned(path, "sparsity=35%,scope=layer")
    gone = {name: by_magnitude(before, (name,), Fraction(35, 100))[name] for name in ORDER}
    check(arrays(audited.raw), before, gone)
    for detail in change.details:
        after = arrays(audited.raw)[detail.name]
        assert detail.figures["zeros_before"] == int((before[detail.name] == 0).sum())
        assert detail.figures["zeros_after"] == int((after == 0).sum())
        squares = np.square(before[detail.name], dtype=np.float64)
        assert detail.figures["saliency_removed"] == pytest.approx(squares[after == 0].sum() / squares.sum())


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("n, m", [(2, 4), (1, 4), (4, 8), (1, 2), (3, 5)])
def test_n_of_m(n: int, m: int, coarse: bool, tmp_path: Path) -> None:
    path = saved(model(coarse=coarse), tmp_path)
    before = arrays(pruned(path, "sparsity=0%")[1].raw)
    change, audited = pruned(path, f"{n}:{m}")
    gone: dict[str, set[Index]] = {name: set() for name in ORDER}
    whole = set()
    for name, array in before.items():
        rows, run = grid(name)
        for row in rows:
            for at in range(0, len(row), run):
                for start in range(at, at + run, m):
                    group = row[start : min(start + m, at + run)]
                    smallest = sorted(group, key=lambda i, a=array: abs(a[i]))  # stable
                    gone[name].update(smallest[: max(len(group) - n, 0)])
        if run <= n:
            whole.add(name)
    check(arrays(audited.raw), before, gone)
    assert {one.group for one in change.blocked} == whole
    assert change.retrain and any(note.startswith("re-train") for note in change.notes)
    tails = {name for name in ORDER if grid(name)[1] % m} - whole
    note = next((note for note in change.notes if note.startswith("a last group")), "")
    assert {name for name in ORDER if f"{name} (" in note} == tails


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("tile", [(4, 1), (1, 4), (2, 3), (16, 16)], ids=str)
def test_blocks(tile: tuple[int, int], scope: str, tmp_path: Path) -> None:
    path = saved(model(coarse=True, seed=3), tmp_path)
    before = arrays(pruned(path, "sparsity=0%")[1].raw)
    change, audited = pruned(path, f"block={tile[0]}x{tile[1]},sparsity=40%,scope={scope}")
    order = [detail.name for detail in change.details]
    blocks: list[tuple[float, int, str, list[Index]]] = []
    for name in order:
        rows, _ = grid(name)
        for top in range(0, len(rows), tile[0]):
            for left in range(0, len(rows[0]), tile[1]):
                inside = [i for row in rows[top : top + tile[0]] for i in row[left : left + tile[1]]]
                norm = sum(float(before[name][i]) ** 2 for i in inside)
                blocks.append((norm, len(blocks), name, inside))
    gone: dict[str, set[Index]] = {name: set() for name in order}
    for names in [order] if scope == "global" else [[name] for name in order]:
        some = sorted(block for block in blocks if block[2] in names)
        for _, _, name, inside in some[: round(Fraction(2, 5) * len(some))]:
            gone[name].update(inside)
    check(arrays(audited.raw), before, gone)
    for detail in change.details:
        after = arrays(audited.raw)[detail.name]
        kept = sum(any(after[i] != 0 for i in inside) for _, _, name, inside in blocks if name == detail.name)
        rows, _ = grid(detail.name)
        wide, tall = ceil(len(rows[0]) / tile[1]), ceil(len(rows) / tile[0])
        index = 1 if wide <= 256 else 2
        assert detail.figures["bsr_bytes"] == kept * (4 * tile[0] * tile[1] + index) + 4 * (tall + 1)


@pytest.mark.parametrize("bits, kind", [(32, np.uint32), (64, np.uint64)])
def test_the_limit_is_that_of_sorting(bits: int, kind: type) -> None:
    draw = np.random.default_rng(bits)
    some = draw.integers(0, 2**bits, 500, dtype=kind)
    keys = np.concatenate((some, some[:200], draw.integers(0, 5, 300, dtype=kind), [np.array(2**bits - 1, kind)]))
    ordered = np.sort(keys)
    for count in (1, 2, 150, 299, 300, 301, 777, keys.size - 1, keys.size):
        limit, ties = threshold(lambda: np.array_split(keys, 7), count, bits)
        assert limit == ordered[count - 1]
        assert ties == count - int((keys < limit).sum()) and 0 < ties <= int((keys == limit).sum())


def test_only_and_skip(tmp_path: Path) -> None:
    path = saved(model(), tmp_path)

    def named(written: str) -> set[str]:
        return {detail.name for detail in pruned(path, f"sparsity=50%,{written}")[0].details}

    assert named("only=conv") == {"conv"}
    assert named("only=conv*") == {"conv"}  # its bias is of the same pattern, and no weight of a product
    assert named(f"only={BIAS}") == {BIAS}
    assert named("only=first|gemm") == {"conv", "gemm"}  # by the node that reads it
    assert named("only=scale") == {"scale"}
    assert named("skip=*th|first") == {"grouped", "depthwise"}  # the second and the third node's
    with pytest.raises(UsageError, match="did you mean conv"):
        pruned(path, "sparsity=50%,only=convv")
    with pytest.raises(UsageError, match="no weights"):
        pruned(path, "sparsity=50%,skip=*")
    with pytest.raises(UsageError, match="no weight has more than 2 input channels"):
        pruned(path, "2:4,only=depthwise")


def test_a_second_time(tmp_path: Path) -> None:
    """Zeros that are there already count."""
    path = saved(model(), tmp_path)
    once, twice = pruned(path, "sparsity=60%"), pruned(path, "sparsity=40%", "sparsity=60%")
    for name, array in arrays(once[1].raw).items():
        np.testing.assert_array_equal(array, arrays(twice[1].raw)[name])
    assert twice[1].raw.history == ("--prune sparsity=40%", "--prune sparsity=60%")
    less = pruned(path, "sparsity=60%", "sparsity=40%")
    assert less[0].loss == 0.0
    assert sum((a == 0).sum() for a in arrays(less[1].raw).values()) == sum(
        d.figures["zeros_after"] for d in once[0].details
    )


def test_loss_is_the_share_of_squares(tmp_path: Path) -> None:
    path = saved(model(), tmp_path)
    before = arrays(pruned(path, "sparsity=0%")[1].raw)
    for written in ("sparsity=50%", "sparsity=80%", "2:4", "block=2x2,sparsity=25%"):
        change, audited = pruned(path, written)
        after = arrays(audited.raw, [d.name for d in change.details])
        removed = sum(((before[n] - array) ** 2).astype(np.float64).sum() for n, array in after.items())
        total = sum((before[n].astype(np.float64) ** 2).sum() for n in after)
        assert change.loss == pytest.approx(removed / total, rel=1e-6)
        assert change.retrain == (written != "sparsity=50%")
