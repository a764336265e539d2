"""One bad input through every view, every format and `explain`, in one process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes.outcome import Outcome
from tests.processes.server import Server

from .harness import surroundings

TOUR = f"{__package__}._tour:main"
PATIENCE = 120.0  # for all steps together; what each may take is asserted later
GROUPS = "op,kind,scope,dtype,shape,kernel,depth,part"
VIEWS = ("--transformer", "--movement", "--receptive-field", "--winograd", "--weights")
EVERYTHING = (*VIEWS, "--group-by", GROUPS, "--against", "1G", "--baseline", "nearest", "--nodes", "--chart", "bytes")
NAMES = {"text": "txt", "json": "json", "jsonl": "jsonl", "markdown": "md", "latex": "tex"}
TABLES = {"nodes": ("--nodes",), "groups": ("--group-by", "scope,op,shape")}  # csv holds one table
PLANS = {"text memory": "mem.txt", "json memory": "mem.json", "markdown memory": "mem.md"}
RUNTIMES = "ideal,tflm,st,st-balanced,tinyengine,ort,ort-plain"


@dataclass(frozen=True, slots=True)
class Step:
    """One command line of the tour: how it ended and what it printed; `seconds` are of processor time."""

    arguments: Sequence[str]
    code: int
    seconds: float
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Tour:
    outcome: Outcome  # of the whole process
    steps: tuple[Step, ...]
    documents: Mapping[str, str]  # format -> text; "html" is the one of a notebook


def tour(server: Server, path: Path, folder: Path) -> Tour:
    """Every view in every format, tables as CSV, explanations and the HTML of a notebook."""
    return _tour(server, *planned(path, folder), folder)


def planned(path: Path, folder: Path) -> tuple[list[str], Mapping[str, Path]]:
    """The arguments of such a tour, and the files it writes: format -> path."""
    files = {form: _folder(folder) / f"report.{ending}" for form, ending in NAMES.items()}
    formats = [word for form, file in files.items() for word in ("-f", f"{form}={file}")]
    sheets = {f"csv {table}": _folder(folder) / f"{table}.csv" for table in TABLES}
    tables = [["report", *options, "-f", f"csv={sheets[f'csv {table}']}"] for table, options in TABLES.items()]
    plans = {form: _folder(folder) / name for form, name in PLANS.items()}
    memory = [word for form, file in plans.items() for word in ("-f", f"{form.split()[0]}={file}")]
    sheets["csv memory"], sheets["svg memory"] = _folder(folder) / "mem.csv", _folder(folder) / "mem.svg"
    commands = [
        ["report", *EVERYTHING, *formats],
        *tables,
        ["memory", "--all", "--timeline", "--buffers", "--effort", "low", *memory],
        ["memory", "--runtime", RUNTIMES, "--effort", "low"],
        ["memory", "--buffers", "--effort", "low", "-f", f"csv={sheets['csv memory']}"],
        ["memory", "--effort", "low", "-f", f"svg={sheets['svg memory']}"],
        ["memory", "--emit-plan", "c", "--effort", "low"],
    ]
    return _arguments(path, folder, commands, nodes=2), files | sheets | plans


def wide(server: Server, path: Path, folder: Path) -> Tour:
    """Every view as text, and one explanation: of a model too large to list its nodes over and over."""
    file = _folder(folder) / "report.txt"
    commands = [["report", *VIEWS, "--against", "1G", "-f", f"text={file}"], ["memory", "--effort", "low"]]
    return _tour(server, _arguments(path, folder, commands, nodes=0), {"text": file}, folder)


def _folder(folder: Path) -> Path:
    made = folder / "tour"
    made.mkdir(exist_ok=True)
    return made


def _arguments(path: Path, folder: Path, commands: Sequence[Sequence[str]], nodes: int) -> list[str]:
    return [str(path), str(_steps(folder)), json.dumps(commands), str(nodes)]


def _steps(folder: Path) -> Path:
    return _folder(folder) / "steps.json"


def _tour(server: Server, arguments: Sequence[str], files: Mapping[str, Path], folder: Path) -> Tour:
    outcome = server.run(TOUR, *arguments, folder=folder, environment=surroundings(folder), patience=PATIENCE)
    result = _steps(folder)
    if not result.exists():
        return Tour(outcome, (), {})
    steps = tuple(Step(**found) for found in json.loads(result.read_text(encoding="utf-8"))["steps"])
    documents = {form: file.read_text(encoding="utf-8") for form, file in files.items() if file.exists()}
    if steps[-1].arguments == ["_repr_html_"]:
        documents["html"] = steps[-1].stdout
    return Tour(outcome, steps, documents)
