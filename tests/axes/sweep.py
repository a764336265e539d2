"""Halves every network of the corpus and all samples, and checks each result: run by hand, the table goes to
docs/pruning.md.

    python -m tests.axes.sweep [--run] [NAME ...]

`--run` also runs every pruned network in ONNX Runtime, with random weights.
"""

from __future__ import annotations

import collections
import json
import re
import sys
import tempfile
import traceback
from fractions import Fraction
from pathlib import Path

from effaudit.audited import examine, examined
from effaudit.axes import couple, groups
from effaudit.errors import EffauditError
from effaudit.load import Given
from effaudit.load.files import sample_names
from effaudit.save import save_model
from effaudit.whatif.prune.channels import Channels, rewrite
from tests.axes.filled import numbers, ran
from tests.corpus.score import folder, rows

LARGEST = 300_000_000  # parameters of a network that is run: they have to fit into the memory twice


def main(arguments: list[str]) -> int:
    run = "--run" in arguments
    chosen = [name for name in arguments if name != "--run"]
    cases = [(f"sample:{name}", Given()) for name in sample_names()]
    corpus = folder()
    for row in rows(corpus) if corpus else ():
        shapes = {name: tuple(shape) for name, shape in json.loads(row["fed_shapes"]).items()}
        cases.append((str(corpus / "models" / row["file"]), Given(shapes=shapes)))
    failed = 0
    print("| model | groups | blocked | channels blocked | MACs left | params left | run | why blocked |")
    print("|---|---:|---:|---:|---:|---:|---|---|")
    for path, given in cases:
        name = Path(path).name.removesuffix(".onnx")
        if chosen and not any(part in name for part in chosen):
            continue
        try:
            print(line(name, path, given, run=run), flush=True)
        except Exception as error:
            failed += 1
            print(f"| {name} | FAILED {type(error).__name__}: {error} |", flush=True)
            traceback.print_exc()
    return 1 if failed else 0


def line(name: str, path: str, given: Given, *, run: bool) -> str:
    audited = examine(path, given)
    every = groups(audited.graph, couple(audited.graph, audited.symbolic, audited.flow))
    whole = [group for group in every if not group.instead]
    try:
        change = rewrite(audited, Channels(Fraction(1, 2), "first"))
    except EffauditError as error:
        said = brief(str(error).removeprefix(f"{audited.name}: --prune: "))
        return f"| {name} | {len(whole)} | {len(whole)} | 100 % | 1 | 1 | - | {said} |"
    pruned = examined(change.graph, given)
    wrong = [n for n, v in pruned.graph.values.items() if v.invalid and not audited.graph.values.get(n, v).invalid]
    assert not wrong, wrong[:3]
    outcome = "-"
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "pruned.onnx"
        save_model(change.graph, target, weightless=True)
        ours, theirs = numbers(pruned), numbers(examine(str(target), given))
        assert ours == theirs, [key for key in ours if ours[key] != theirs[key]]
        if run and pruned.weights.params > LARGEST:
            outcome = "not run"
        elif run:
            outcome = outcome_of(pruned, change.graph, Path(place))
    blocked = {one.group for one in change.blocked}
    held = sum(g.length for g in whole if g.name in blocked)
    total = sum(g.length for g in whole)
    left = [_share(pruned.table.total("macs").value, audited.table.total("macs").value)]
    left.append(_share(pruned.weights.params, audited.weights.params))
    reasons = collections.Counter(brief(one.reason) for one in change.blocked)
    why = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(4))
    cells = [name, len(whole), len(blocked), f"{100 * held / max(total, 1):.0f} %", *left, outcome, why]
    return f"| {' | '.join(map(str, cells))} |"


def outcome_of(pruned: object, graph: object, place: Path) -> str:
    sizes = {n: tuple(d if type(d) is int else 1 for d in pruned.graph.values[n].shape) for n in pruned.graph.inputs}
    found = ran(graph, sizes, place)
    for name, shape in found.items():
        wanted = pruned.graph.values[name].shape
        assert wanted is None or len(wanted) == len(shape), (name, shape, wanted)
        assert all(type(w) is not int or w == s for w, s in zip(wanted or (), shape, strict=False)), (
            name,
            shape,
            wanted,
        )
    return "runs"


def brief(reason: str) -> str:
    """A reason without the names of this model's tensors, so that equal ones can be counted."""
    return re.sub(r"(graph (?:out|in)put) '[^']*'", r"\1", reason).replace("the graph", "a graph")


def _share(new: object, old: object) -> str:
    return f"{new / old:.3f}" if isinstance(new, int) and isinstance(old, int) and old else "-"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
