"""Runs several command lines and one call of the Python API in one process, a child of a server.

Arguments: the model, the file that takes the steps as JSON (a list of {arguments, code, seconds, stdout, stderr}, the
last one being the HTML of a notebook), as JSON the commands with their options, and how many nodes are explained
(none: no HTML either). The command line is the real one, `effaudit.cli.main`; only its streams are caught.
"""

import io
import json
import resource
import sys
import time

MAX_LABEL = 1_000  # longer names cannot be typed


def main() -> None:
    model, result, reports, nodes = sys.argv[1:]
    first, *others = ([name, model, *options] for name, *options in json.loads(reports))
    steps = [command(first)]
    if steps[0]["code"] == 0:
        steps += map(command, others)
        steps += [command(["explain", model, word]) for word in words(model, int(nodes))]
        steps += [notebook(model)] if int(nodes) else []
    with open(result, "w", encoding="utf-8") as file:
        json.dump({"steps": steps, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}, file)


def command(arguments: list[str]) -> dict[str, object]:
    from effaudit.cli import main as cli

    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    kept, code, start = (sys.argv, sys.stdout, sys.stderr), 0, time.process_time()
    sys.argv, sys.stdout, sys.stderr = ["effaudit", *arguments], *streams
    try:
        cli()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv, sys.stdout, sys.stderr = kept
    return step(arguments, code, start, *(caught(stream) for stream in streams))


def caught(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def step(arguments: list[str], code: int, start: float, stdout: str, stderr: str) -> dict[str, object]:
    seconds = time.process_time() - start
    return {"arguments": arguments, "code": code, "seconds": seconds, "stdout": stdout, "stderr": stderr}


def words(model: str, count: int) -> list[str]:
    """What is explained: figures, an operator, and the first nodes by the names that the report gives."""
    if not count:
        return ["macs"]
    import effaudit

    nodes = [node for node, _ in zip(effaudit.audit(model).nodes, range(count), strict=False)]
    names = [node.name or (node.outputs[0].name if node.outputs else "") for node in nodes]
    found = ["macs", "live", *(node.op for node in nodes[:1]), *names]
    return [word for word in found if len(word) <= MAX_LABEL and "\0" not in word and not word.startswith("-")]


def notebook(model: str) -> dict[str, object]:
    import effaudit
    from effaudit.report import VIEWS

    start = time.process_time()
    html = effaudit.audit(model, views=VIEWS, group_by=["op", "scope"])._repr_html_()
    return step(["_repr_html_"], 0, start, html, "")
