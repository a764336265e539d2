"""The points of a sweep, made one after the other or in several processes: the same document whatever their number."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from effaudit.audited import Audited, examine
from effaudit.before_after.asked import StepsAsked
from effaudit.before_after.model import option_of, row_of
from effaudit.before_after.types import StepRow
from effaudit.device.types import Device
from effaudit.errors import EffauditError
from effaudit.fit.asked import FitAsked
from effaudit.load import Given
from effaudit.operators import read as read_operators
from effaudit.search.sweep.setting import with_size
from effaudit.search.sweep.types import Point
from effaudit.whatif import apply, parse
from effaudit.whatif.types import Change, Step

REFUSED: Final = (EffauditError, RecursionError, MemoryError)


class Setting(msgspec.Struct, frozen=True):
    """Where a model is looked at: the device with the sizes that are set in it, and the runtime."""

    values: Mapping[str, str]
    device: Device | None
    sizes: tuple[tuple[str, int], ...]
    fit: FitAsked


class Task(msgspec.Struct, frozen=True):
    """A model after what-ifs, and the settings it is looked at in. `sizes` are the words that give its sizes,
    `operators` files."""

    model: str
    given: Given
    steps: tuple[tuple[str, str], ...]
    values: Mapping[str, str]
    settings: tuple[Setting, ...]
    sizes: tuple[str, ...]
    operators: tuple[str, ...]


def run(tasks: Sequence[Task], jobs: int, tell: Callable[[int], None] = lambda done: None) -> tuple[Point, ...]:
    """The points of all tasks, in their order; `tell` is told how many points are done."""
    if jobs <= 1 or len(tasks) <= 1:
        points: list[Point] = []
        for task in tasks:
            points += made(task)
            tell(len(points))
        return tuple(points)
    return _in_processes(tasks, min(jobs, len(tasks)), tell)


def _in_processes(tasks: Sequence[Task], jobs: int, tell: Callable[[int], None]) -> tuple[Point, ...]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    done = 0
    points: list[Point] = []
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start) as pool:
        futures = [pool.submit(made, task) for task in tasks]
        try:
            for future in as_completed(futures):
                done += 0 if future.exception() else len(future.result())
                tell(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for task, future in zip(tasks, futures, strict=True):
            try:
                points += future.result()
            except BrokenProcessPool:
                points += _refused(task, "the process that made it ended; the machine may be out of memory")
    return tuple(points)


def _start() -> None:
    """A process that is interrupted ends without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def made(task: Task) -> tuple[Point, ...]:
    """A point for each setting; where something cannot be made, the reason stands in its place."""
    try:
        audited = examine(task.model, task.given, _operators(task.operators))
        change, steps = Change(audited.raw), []
        survives: float | None = 1.0
        for name, text in task.steps:
            step = parse(name, text)
            new, audited = apply(audited, step)
            steps.append(step)
            survives = None if survives is None or new.loss is None else survives * (1.0 - new.loss)
            change = _joined(change, new)
    except REFUSED as error:
        return _refused(task, _said(error, task.model))
    loss = None if survives is None else round(1.0 - survives, 12)
    return tuple(_point(task, setting, steps, change, audited, loss) for setting in task.settings)


def _joined(before: Change, after: Change) -> Change:
    """What all steps so far have to say."""
    notes = (*before.notes, *after.notes)
    return msgspec.structs.replace(after, notes=notes, retrain=before.retrain or after.retrain)


@cache
def _operators(files: tuple[str, ...]) -> Mapping[tuple[str, str], Any] | None:
    return read_operators(*files) if files else None


def _point(
    task: Task, setting: Setting, steps: Sequence[Step], change: Change, audited: Audited, loss: float | None
) -> Point:
    try:
        device = setting.device
        for memory, size in setting.sizes if device is not None else ():
            assert device is not None
            device = with_size(device, memory, size)
        asked = StepsAsked(() if device is None else (device,), setting.fit)
        row = row_of(None, change, audited, asked)
    except REFUSED as error:
        return _empty(task, setting, _said(error, task.model))
    return _full(task, setting, row, _command(task, setting, steps, asked), loss)


def _full(task: Task, setting: Setting, row: StepRow, command: str, loss: float | None) -> Point:
    return Point(
        model=task.model,
        values={**task.values, **setting.values},
        totals=row.totals,
        executed=row.executed,
        memory=row.memory,
        device=row.devices[0] if row.devices else None,
        loss=loss,
        retrain=row.retrain,
        notes=row.notes,
        command=command,
        error=None,
    )


def _command(task: Task, setting: Setting, steps: Sequence[Step], asked: StepsAsked) -> str:
    """The words that show the point again."""
    if setting.sizes:
        return ""
    look = [] if steps else [(setting.device and "fit") or "memory"]
    words = ["effaudit", *(look or ["whatif"]), shlex.quote(task.model), *map(option_of, steps)]
    return " ".join([*words, *map(shlex.quote, (*task.sizes, *asked.options()))])


def _said(error: BaseException, model: str) -> str:
    if isinstance(error, EffauditError):
        return str(error).removeprefix(f"{model}: ")
    return "nested too deeply" if isinstance(error, RecursionError) else "out of memory"


def _refused(task: Task, why: str) -> tuple[Point, ...]:
    return tuple(_empty(task, setting, why) for setting in task.settings)


def _empty(task: Task, setting: Setting, why: str) -> Point:
    values = {**task.values, **setting.values}
    return Point(task.model, values, None, None, None, None, None, False, (), "", why or "it cannot be made")
