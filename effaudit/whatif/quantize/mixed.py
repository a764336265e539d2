"""Which node takes which scheme, so that the model is smallest and its outputs stay within a budget of error. Its size
is that of its constants and of what its nodes make.

Each scheme is run at each node alone; errors of nodes are taken to add up, the least size under that assumption is
found, and what it finds is run as a whole: only a table whose outputs are really within the budget is given.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.whatif.quantize.grid import decibels
from effaudit.whatif.quantize.sensitivity import Bench, Harm, bench, constant_bytes, followed, harms, measured, variant
from effaudit.whatif.quantize.tables import entry, rules_of
from effaudit.whatif.quantize.types import FLOAT_AS_IT_IS, Arguments, Rule
from effaudit.whatif.types import Detail

if TYPE_CHECKING:
    from effaudit.run import Limits

TABLE: Final = "mixed"
EXACT: Final = 4096  # tables that are all looked at; of more the greedy search finds one
_LOOSE: Final = tuple(2.0**power for power in range(4, -9, -1))  # shares of the budget that errors may add up to
_BETWEEN: Final = 6  # further shares between the last that held and the first that did not


class Option(msgspec.Struct, frozen=True):
    """A scheme of one node: its error, and the bytes it saves of constants and of the node's results; at least one, so
    that what is quantized for its neighbours' sake is quantized where its error is allowed."""

    scheme: str
    noise: float
    saved: int


class Mixed(msgspec.Struct, frozen=True):
    """The table that was found. `schemes` has a scheme for each node that is quantized, by its label; `noise` is the
    error of the outputs with all of them together, really run, `budget` what it may be; `constant_bytes` the size of
    the model's constants, `tables` how many were run; `harms` what each scheme does alone."""

    schemes: Mapping[str, str]
    rules: Mapping[int, Rule]
    noise: float
    budget: float
    constant_bytes: int
    tables: int
    harms: tuple[Harm, ...]
    source: str

    @property
    def sqnr_db(self) -> float | None:
        """Signal to noise of the outputs; None without noise."""
        return decibels(self.noise)


def mixed(
    audited: Audited, arguments: Arguments, schemes: Sequence[str], budget_db: float, limits: Limits | None = None
) -> Mixed:
    """The smallest model found whose outputs keep `budget_db` of signal to noise, each node in one of `schemes`
    (`int8`, `w4,group=64`, ...) or as it is. `arguments` say which nodes may change and what the model is run on.

    Raises UsageError for a scheme that is not known, without calibration inputs and where no node can change; RunError.
    """
    rules = {scheme: entry(scheme) for scheme in schemes if scheme != FLOAT_AS_IT_IS}
    may = [i for i, rule in enumerate(rules_of(audited.raw.nodes, arguments)) if rule.weights]
    single = [(i, scheme, rule) for scheme, rule in rules.items() if rule.weights for i in may]
    ready = bench(audited, arguments, [rule for _, _, rule in single])
    alone = harms(ready, single, limits)
    budget = 10 ** (-budget_db / 10)
    options = _options(alone)
    best, noise, size, count = _search(ready, rules, options, budget, limits)
    return Mixed(best, _rules(ready, rules, best), noise, budget, size, count, tuple(alone), ready.source)


def _options(alone: Iterable[Harm]) -> dict[str, list[Option]]:
    """By label, the schemes that could be chosen: each better than every smaller one, `float` last. Nodes of one label
    share their scheme, as a table names nodes by their labels."""
    summed: dict[str, dict[str, Option]] = {}
    for harm in alone:
        of = summed.setdefault(harm.label, {})
        had = of.get(harm.scheme, Option(harm.scheme, 0.0, 0))
        of[harm.scheme] = Option(
            harm.scheme, had.noise + harm.noise, had.saved + max(harm.saved_bytes + harm.activation_bytes, 1)
        )
    found = {}
    for label, of in summed.items():
        kept: list[Option] = []
        for option in sorted((*of.values(), Option(FLOAT_AS_IT_IS, 0.0, 0)), key=lambda o: (-o.saved, o.noise)):
            if math.isfinite(option.noise) and (not kept or option.noise < kept[-1].noise):
                kept.append(option)
        found[label] = kept
    return found


def least(options: Mapping[str, Sequence[Option]], budget: float) -> dict[str, str]:
    """The scheme of each node that saves most while errors add up to at most the budget: of all tables where these are
    few, else that of the greedy search, by error per byte saved. `float` is left out."""
    if math.prod(len(of) for of in options.values()) <= EXACT:
        chosen = _exact(options, budget)
    else:
        chosen = _greedy(options, budget)
    return {label: option.scheme for label, option in chosen.items() if option.scheme != FLOAT_AS_IT_IS}


def _exact(options: Mapping[str, Sequence[Option]], budget: float) -> dict[str, Option]:
    fitting = (table for table in product(*options.values()) if sum(o.noise for o in table) <= budget)
    best = max(fitting, key=lambda table: (sum(o.saved for o in table), -sum(o.noise for o in table)))
    return dict(zip(options, best, strict=True))


def _greedy(options: Mapping[str, Sequence[Option]], budget: float) -> dict[str, Option]:
    """From the least error of all, one step at a time to a smaller scheme: that with least error per byte."""
    place = {label: len(of) - 1 for label, of in options.items()}
    total = sum(options[label][at].noise for label, at in place.items())
    while True:
        steps = []
        for label, at in place.items():
            for to in range(at):
                here, there = options[label][at], options[label][to]
                if there.saved > here.saved and total - here.noise + there.noise <= budget:
                    steps.append(((there.noise - here.noise) / (there.saved - here.saved), label, to))
        if not steps:
            return {label: options[label][at] for label, at in place.items()}
        _, label, to = min(steps)
        total += options[label][to].noise - options[label][place[label]].noise
        place[label] = to


def _search(
    ready: Bench,
    rules: Mapping[str, Rule],
    options: Mapping[str, Sequence[Option]],
    budget: float,
    limits: Limits | None,
) -> tuple[dict[str, str], float, int, int]:
    """(the table, its error, the bytes of constants, tables run). Errors do not quite add up, so tables for several
    shares of the budget are run, then some between the largest that held and the next."""
    best: tuple[int, float, dict[str, str], int] = (0, 0.0, {}, constant_bytes(ready.audited.raw))
    seen: dict[tuple[tuple[str, str], ...], float] = {}
    shares: Sequence[float] = _LOOSE
    for _ in range(2):
        tables = {tuple(table.items()): table for share in shares if (table := least(options, budget * share))}
        new = [table for key, table in tables.items() if key not in seen]
        graphs = [variant(ready, _rules(ready, rules, table)) for table in new]
        made = [(table, graph) for table, graph in zip(new, graphs, strict=True) if graph is not None]
        noises = measured(ready, [graph for _, graph in made], limits) if made else []
        for (table, graph), noise in zip(made, noises, strict=True):
            seen[tuple(table.items())] = noise
            if noise <= budget and (-(saved := _saved(options, table)), noise) < best[:2]:
                best = (-saved, noise, table, constant_bytes(graph))
        shares = _between(options, budget, seen)
    return best[2], best[1], best[3], len(seen)


def _saved(options: Mapping[str, Sequence[Option]], table: Mapping[str, str]) -> int:
    return sum(option.saved for label, of in options.items() for option in of if table.get(label) == option.scheme)


def _between(
    options: Mapping[str, Sequence[Option]], budget: float, seen: Mapping[tuple[tuple[str, str], ...], float]
) -> list[float]:
    """Shares between the largest whose table held and the next larger one."""
    for i, share in enumerate(_LOOSE):
        table = tuple(least(options, budget * share).items())
        if not table or seen.get(table, math.inf) <= budget:
            above = _LOOSE[i - 1] if i else share
            return [share * (above / share) ** (step / (_BETWEEN + 1)) for step in range(1, _BETWEEN + 1)]
    return []


def _rules(ready: Bench, rules: Mapping[str, Rule], table: Mapping[str, str]) -> dict[int, Rule]:
    return {i: rules[table[n.label]] for i, n in enumerate(ready.audited.raw.nodes) if n.label in table}


def document(found: Mixed, audited: Audited) -> str:
    """The table as a YAML file that `table=FILE` reads: a line for each node that is quantized, those that only pass
    its result on among them."""
    by_rule = {entry(scheme): scheme for scheme in found.schemes.values()}
    lines = {
        node.label: by_rule[rule]
        for node, rule in zip(audited.raw.nodes, followed(audited, found.rules), strict=True)
        if rule.weights
    }
    return "".join(f"{_quoted(_pattern(label))}: {_quoted(scheme)}\n" for label, scheme in lines.items())


def _pattern(label: str) -> str:
    """A pattern that a label matches; `|`, which parts patterns, is any one character in it."""
    return glob.escape(label).replace("|", "?")


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def rows(found: Mixed) -> tuple[Detail, ...]:
    """The table as a reader sees it: the scheme of each node, and what it does there alone."""
    known = {(harm.label, harm.scheme): harm for harm in found.harms}
    rows = []
    for label in dict.fromkeys(harm.label for harm in found.harms):
        scheme = found.schemes.get(label, FLOAT_AS_IT_IS)
        harm = known.get((label, scheme))
        rows.append(
            Detail(
                TABLE,
                label,
                {
                    "scheme": scheme,
                    "relative_error": harm.relative_error if harm else 0.0,
                    "sqnr_db": harm.sqnr_db if harm else None,
                    "saved_bytes": harm.saved_bytes if harm else 0,
                    "saved_activation_bytes": harm.activation_bytes if harm else 0,
                    "source": found.source,
                },
            )
        )
    return tuple(rows)


def note(found: Mixed) -> str:
    """One sentence on what was found."""
    count = len(dict.fromkeys(harm.label for harm in found.harms))
    allowed = f"at least {decibels(found.budget):.1f} dB" if decibels(found.budget) else "any error"
    if not found.schemes:
        return f"no table of {found.tables} that were run keeps {allowed} of signal to noise: every node stays as it is"
    reached = "no noise" if found.sqnr_db is None else f"{found.sqnr_db:.1f} dB"
    return (
        f"mixed: {len(found.schemes)} of {count} nodes quantized, {reached} of signal to noise at the outputs where "
        f"{allowed} is asked ({found.tables} tables run on {found.source})"
    )
