"""Two models in turns: as many seconds of one as of the other, each with its own input and its own level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effaudit.errors import RunError
from effaudit.load import read
from effaudit.run._in_turns import SITTINGS, _rounds
from effaudit.run.in_turns import Turns, in_turns
from effaudit.run.process import Limits
from tests.laws.models import parse
from tests.run.shim import broken
from tests.save.models import written

NEG = "m (float[2,3] x) => (float[2,3] z) { y = Neg(x) z = Exp(y) }"
ADD = "m (float[4] a, float[4] b) => (float[4] c) { c = Add(a, b) }"
X = {"x": np.ones((2, 3), np.float32)}
AB = {"a": np.ones(4, np.float32), "b": np.ones(4, np.float32)}


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return written(tmp_path / "neg.onnx", parse(NEG)), written(tmp_path / "add.onnx", parse(ADD))


@pytest.mark.parametrize("threads", [1, 2])
def test_two_models_with_inputs_of_their_own(paths: tuple[Path, Path], threads: int) -> None:
    seen: list[int] = []
    found = in_turns(*paths, X, AB, rounds=12, warmup=2, limits=Limits(threads=threads), each=seen.append)
    assert len(found.first) == len(found.second) == 12 and min(*found.first, *found.second) > 0
    assert found.warmup == (2, 2) and found.steady == (False, False) and 1 <= found.sittings <= SITTINGS
    assert min(*found.session_s, *found.first_s) > 0 and all(1 <= n <= 25 for n in found.runs_per_turn)
    assert all(0 <= n <= 12 for n in seen)


def test_graphs_levels_and_a_warm_up_until_steady(paths: tuple[Path, Path]) -> None:
    found = in_turns(read(paths[0]), paths[0], X, X, rounds=3, optimize=("all", "none"))
    assert isinstance(found, Turns) and len(found.first) == 3 and min(found.warmup) >= 3


def test_a_budget_leaves_three_rounds(paths: tuple[Path, Path]) -> None:
    found = in_turns(*paths, X, AB, rounds=1000, budget_s=1e-9)
    assert len(found.first) == len(found.second) == 3 and found.sittings == 1


def test_the_one_that_does_not_run_is_named(
    paths: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"x": np.ones((2, 2), np.float32)}
    with pytest.raises(RunError, match=r"neg\.onnx: ONNX Runtime refuses it: .*Got: 2 Expected: 3") as caught:
        in_turns(paths[1], paths[0], AB, wrong, rounds=3)
    assert str(caught.value).startswith(f"{paths[0]}: ")
    with pytest.raises(RunError, match="has no provider CUDA"):
        in_turns(*paths, X, AB, rounds=3, provider="CUDA")
    broken(tmp_path, monkeypatch, "os.kill(os.getpid(), 11)", when="'add' in model")
    with pytest.raises(RunError, match=r"add\.onnx: ONNX Runtime crashed \(SIGSEGV\)"):
        in_turns(*paths, X, AB, rounds=3)


def test_both_use_one_pool_of_threads(
    paths: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note"
    broken(
        tmp_path,
        monkeypatch,
        f"open({str(note)!r}, 'a').write(f'{{options.use_per_session_threads}} ')",
        when="True",
    )
    in_turns(*paths, X, AB, rounds=3, warmup=0, limits=Limits(threads=2))
    assert set(note.read_text().split()) == {"False"}


# ---- the order of turns, on sides that only count
class Counted:
    def __init__(self, name: str, log: list[str], session_s: float) -> None:
        self.name, self.log = name, log
        self.seconds: list[float] = []
        self.warm, self.block, self.first_s, self.session_s = [1e-3], 1, 1e-3, session_s

    def turn(self) -> float:
        self.log.append(self.name)
        return 1e-3

    def open(self) -> None:
        self.log.append(f"open {self.name}")

    def close(self) -> None:
        self.log.append(f"close {self.name}")

    def again(self) -> None:
        self.log.append(f"warm {self.name}")


class Quiet:
    def one_more(self) -> None:
        pass


def order(rounds: int, seed: int, session_s: float) -> tuple[list[str], int]:
    log: list[str] = []
    sides: list[Any] = [Counted("A", log, session_s), Counted("B", log, session_s)]
    made = _rounds(sides, {"rounds": rounds, "seed": seed, "budget_s": 60.0}, Quiet())  # type: ignore[arg-type]
    assert [len(side.seconds) for side in sides] == [rounds, rounds]
    return log, made


def test_chance_decides_who_is_first_and_the_seed_decides_chance() -> None:
    log, made = order(400, 1, 1e9)
    assert made == 1 and log == order(400, 1, 1e9)[0] and log != order(400, 2, 1e9)[0]
    pairs = [tuple(log[i : i + 2]) for i in range(0, 800, 2)]
    assert set(pairs) == {("A", "B"), ("B", "A")} and 150 < pairs.count(("A", "B")) < 250


def test_sessions_are_made_anew_in_changing_order() -> None:
    """Both are gone before either is made again, and every sitting has its share of the rounds."""
    log, made = order(1000, 0, 1e-4)
    assert made == SITTINGS
    steps = [
        " ".join(log[i : i + 6]) for i, what in enumerate(log) if what.startswith("close") and log[i + 1][0] == "c"
    ]
    ab = "close A close B open A open B warm A warm B"
    ba = "close B close A open B open A warm B warm A"
    assert steps == [ba, ab, ba, ab]
    assert order(3, 0, 1e-9)[1] <= 3
