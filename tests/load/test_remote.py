"""Models behind an address: the same report as from disk, the weights never sent, and one line for whatever goes wrong.

The server counts what it sends; effaudit's own count is checked against that.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from benchmarks.sketch import Sketch, save
from effaudit.elements import value_of
from effaudit.errors import LimitError, LoadError
from effaudit.graph import Source
from effaudit.load import connection, read, remote
from effaudit.load.connection import address
from effaudit.load.convert import convert
from effaudit.load.external import REMOTE
from effaudit.load.feed import StreamFeed
from effaudit.load.files import resolve, sample_names
from effaudit.load.skeleton import read_skeleton
from effaudit.load.tensors import Home
from tests.load.server import Reply, Request, Site, Tamper

ROOT = Path(__file__).resolve().parents[2]
IC = Path(resolve("sample:ic"))
MB = 1_000_000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def run(*arguments: str, prelude: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; `prelude` shortens its waits."""
    command = [sys.executable, "-m", "effaudit", *arguments]
    if prelude:
        code = f"from effaudit.load import connection, remote\n{prelude}\nfrom effaudit.__main__ import main\nmain()"
        command = [sys.executable, "-c", code, *arguments]
    settings = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=settings, timeout=60, check=False)


def report(name: str) -> dict[str, Any]:
    """The JSON report without what must differ: path, bytes read, whether weights beside the file were looked for."""
    done = run("report", name, "--json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    del model["path"], model["read_bytes"]
    model["findings"] = [f for f in model["findings"] if f["rule"] != "missing-weights"]
    return dict(model)


def refusal(url: str, prelude: str = "", **env: str) -> str:
    """The one line that `effaudit report URL` ends with."""
    done = run("report", url, prelude=prelude, **env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("effaudit: http")
    assert "Traceback" not in line
    return line


def always(**changes: Any) -> Tamper:
    return lambda request, reply: replace(reply, **changes)


def headers(**changes: str) -> Tamper:
    """The honest reply with headers replaced ("" drops one); `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return lambda request, reply: replace(reply, headers=reply.headers | named)


def after(n: int, tamper: Tamper) -> Tamper:
    """Honest for `n` requests."""
    return lambda request, reply: reply if request.number < n else tamper(request, reply)


def up_to(n: int, tamper: Tamper) -> Tamper:
    """Honest after `n` requests."""
    return lambda request, reply: tamper(request, reply) if request.number < n else reply


# ---- what is read


def sketched(path: Path, layers: int = 300, width: int = 1600) -> Path:
    """MatMul layers with biases; a reshape whose sizes stand in a constant of 4,800 bytes."""
    net = Sketch()
    x = net.input("x", TensorProto.FLOAT, ["batch", "seq", width])
    for i in range(layers):
        w = net.weight(f"layer.{i}.weight", (width, width))
        b = net.weight(f"layer.{i}.bias", (width,))
        x = net.node("Add", [net.node("MatMul", [x, w], f"l{i}"), b], f"l{i}")
    table = np.full(600, 7, np.int64)
    table[:3] = [0, width // 100, -1]
    sizes = net.weight("sizes", (600,), TensorProto.INT64, table.tobytes())
    head = net.node("Slice", [sizes, net.integers(0), net.integers(3)], "head")
    x = net.node("Reshape", [x, head], "split")
    net.output(x, "y", TensorProto.FLOAT, ["batch", width // 100, "rest"])
    save(net, path)
    return path


@pytest.fixture(scope="module")
def gigabytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 GB of weights in one sparse file."""
    path = sketched(tmp_path_factory.mktemp("sparse") / "big.onnx")
    assert path.stat().st_size > 3_000 * MB
    return path


def test_gigabytes_of_weights_are_not_read(gigabytes: Path) -> None:
    with Site({"/big.onnx": gigabytes}) as site:
        graph = read(site.url("/big.onnx"))
    assert graph.source.file_bytes == gigabytes.stat().st_size
    assert graph.source.read_bytes == site.sent < 2 * MB
    assert len(site.requests) <= 2 * 300 + 20
    assert site.connections == 1
    assert {request.headers["Accept-Encoding"] for request in site.requests} == {"identity"}


def test_gigabytes_report_as_from_disk(gigabytes: Path) -> None:
    with Site({"/big.onnx": gigabytes}) as site:
        found = report(site.url("/big.onnx"))
    assert found == report(str(gigabytes))
    assert found["outputs"][0]["shape"][1] == 16  # from the table's values
    assert found["totals"]["params"] == 300 * (1600 * 1600 + 1600)


@pytest.mark.parametrize("name", sample_names())
def test_samples_report_as_from_disk(name: str) -> None:
    path = Path(resolve(f"sample:{name}"))
    with Site({"/m.onnx": path}) as site:
        assert report(site.url("/m.onnx")) == report(str(path))
    # Each byte at most once; of the small samples most is structure.
    assert site.sent <= path.stat().st_size


def test_structure_alone_takes_few_requests(tmp_path: Path) -> None:
    """2.5 MB of nodes and no weights."""
    nodes = [helper.make_node("Relu", [f"x{i}"], [f"x{i + 1}"], name=f"relu{i:0100}") for i in range(20_000)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x0", "x20000")]
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])), path)
    with Site({"/m.onnx": path}) as site:
        graph = read(site.url("/m.onnx"))
    assert len(graph.nodes) == 20_000
    assert site.sent == path.stat().st_size > 2 * MB
    assert len(site.requests) <= 12


@pytest.mark.parametrize("raw", [True, False])
def test_small_tensors_have_the_values_they_have_on_disk(tmp_path: Path, raw: bool) -> None:
    """Around every bound: 2,048 bytes in the skeleton, 8,192 bytes of raw data, 1,024 elements."""
    sizes = (0, 1, 255, 256, 257, 300, 512, 513, 1023, 1024, 1025, 2047, 2048, 2049, 8191, 8192, 8193)
    model = ModelProto(ir_version=8)
    model.opset_import.add(version=17)
    for dtype in (np.int64, np.float32, np.float16, np.int8, np.bool_):
        for size in sizes:
            name = f"{np.dtype(dtype).name}_{size}"
            values = (np.arange(size) % 2 - 1 if dtype is np.int64 else np.arange(size) % 2).astype(dtype)
            code = helper.np_dtype_to_tensor_dtype(values.dtype)
            tensor = numpy_helper.from_array(values, name) if raw else helper.make_tensor(name, code, [size], values)
            model.graph.initializer.append(tensor)
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    disk = read(path).constants
    with Site({"/m.onnx": path}) as site:
        far = read(site.url("/m.onnx")).constants
    with path.open("rb") as file:
        piped = convert(read_skeleton(StreamFeed(file.fileno()), "-"), Home("-", None), Source("-")).constants
    known = [name for name, constant in disk.items() if value_of(constant).data is not None]
    assert len(known) >= 40
    for other in (far, piped):
        assert other.keys() == disk.keys()
        assert all(value_of(other[name]).data == value_of(c).data for name, c in disk.items())
    for constant in far.values():
        assert constant.payload is None
        assert constant.missing == ("" if constant.raw is not None else REMOTE)
    assert far["float32_8193"].missing == REMOTE


@pytest.mark.parametrize("dims", [[-4, 300], [300] * 2000, [2**62] * 60])
def test_impossible_dims_are_refused_as_on_disk(tmp_path: Path, dims: list[int]) -> None:
    model = ModelProto(ir_version=8)
    model.graph.initializer.add(name="w", data_type=TensorProto.INT64, dims=dims, raw_data=bytes(4800))
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(LoadError) as local:
        read(path)
    with Site({"/m.onnx": path}) as site, pytest.raises(LoadError) as far:
        read(site.url("/m.onnx"))
    assert str(far.value).removeprefix(site.url("/m.onnx")) == str(local.value).removeprefix(str(path))


def external(path: Path, location: str) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[100, 100], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [], [tensor])
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [100, 100]))
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_external_data_beside_a_remote_model_is_not_read(tmp_path: Path) -> None:
    with Site({"/m.onnx": external(tmp_path / "m.onnx", "w.bin")}) as site:
        constant = read(site.url("/m.onnx")).constants["w"]
    assert (constant.payload, constant.missing, constant.location) == (None, REMOTE, "w.bin")
    assert {request.target for request in site.requests} == {"/m.onnx"}


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin"])
def test_external_data_outside_the_folder_is_refused_as_on_disk(tmp_path: Path, location: str) -> None:
    path = external(tmp_path / "m.onnx", location)
    with pytest.raises(LoadError, match="outside the model's folder") as local:
        read(path)
    with Site({"/m.onnx": path}) as site, pytest.raises(LoadError, match="outside the model's folder") as far:
        read(site.url("/m.onnx"))
    assert str(far.value).partition("tensor")[2] == str(local.value).partition("tensor")[2]


# ---- addresses


def test_a_query_is_sent_and_not_shown(tmp_path: Path) -> None:
    with Site({"/m.onnx": IC}) as site:
        done = run("report", site.url("/m.onnx?X-Amz-Signature=sesame&a=b%20c"), "--json")
        gone = refusal(site.url("/none.onnx?X-Amz-Signature=sesame"))
    assert site.requests[0].target == "/m.onnx?X-Amz-Signature=sesame&a=b%20c"
    assert json.loads(done.stdout)["models"][0]["path"] == site.url("/m.onnx?...")
    assert "sesame" not in done.stdout + done.stderr + gone


@pytest.mark.parametrize(
    "url",
    [
        "http://user:sesame@localhost/m.onnx",
        "https://sesame@localhost/m.onnx",
        "http://user:sesame/word@localhost/m.onnx",
        "HTTP://user:sesame#word@localhost/m.onnx",
        "http://user:sesame@/m.onnx",
    ],
)
def test_credentials_are_refused_and_not_shown(url: str) -> None:
    line = refusal(url)
    assert "sesame" not in line
    assert "user name or password" in line or "not a valid address" in line


@pytest.mark.parametrize(
    "url", ["http://", "https:///m.onnx", "http://host:port/m", "http://host:99999/m", "http://[::1/m"]
)
def test_what_is_no_address(url: str) -> None:
    assert "not a valid address" in refusal(url)


@pytest.mark.parametrize(
    ("url", "target", "label"),
    [
        ("http://h/a b/ü.onnx", "/a%20b/%C3%BC.onnx", "http://h/a b/ü.onnx"),
        ("https://H:443", "/", "https://h"),
        ("https://h:8443/a%20b?x=1#top", "/a%20b?x=1", "https://h:8443/a%20b?..."),
        ("http://[::1]:80/m@main.onnx", "/m@main.onnx", "http://[::1]/m@main.onnx"),
    ],
)
def test_addresses(url: str, target: str, label: str) -> None:
    found = address(url)
    assert (found.target, found.label) == (target, label)


def test_suffix_and_head_are_recognised(tmp_path: Path) -> None:
    pointer = tmp_path / "pointer"
    pointer.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    page = tmp_path / "page"
    page.write_bytes(b"<!DOCTYPE html><html>log in</html>")
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(100))
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    files = {"/m.tflite": IC, "/p": pointer, "/page": page, "/zeros": zeros, "/empty": empty}
    expected = {
        "/m.tflite?x=1": "a TensorFlow Lite model by its suffix",
        "/p": "a Git LFS pointer",
        "/page": "a web page",
        "/zeros": "begins with zero bytes",
        "/empty": "an empty file",
    }
    with Site(files) as site:
        for path, what in expected.items():
            with pytest.raises(LoadError, match=what):
                read(site.url(path))


# ---- what servers do wrong


def web_page(request: Request, reply: Reply) -> Reply:
    return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>log in</html>")


def shifted(request: Request, reply: Reply) -> Reply:
    start, size = reply.start + 1, IC.stat().st_size
    return replace(reply, start=start, headers=reply.headers | {"Content-Range": f"bytes {start}-{size}/{size + 1}"})


WRONG: dict[str, tuple[Tamper, str]] = {
    "401": (always(status=401), "refuses access (401 Unauthorized)"),
    "403": (always(status=403), "refuses access (403 Forbidden)"),
    "404": (always(status=404), "no such file (404 Not Found)"),
    "410": (always(status=410), "no such file (410 Gone)"),
    "500": (always(status=500), "answers 500 Internal Server Error"),
    "unknown status": (always(status=599), "answers 599;"),
    "login page": (web_page, "a web page, not a model"),
    "html part": (headers(Content_Type="text/html"), "a web page, not a model"),
    "compressed": (headers(Content_Encoding="gzip"), "compressed"),
    "no content-range": (headers(Content_Range=""), "does not say which"),
    "bad content-range": (headers(Content_Range="bytes 0-x/9"), "does not say which"),
    "no total": (headers(Content_Range="bytes 0-65535/*"), "does not say which"),
    "another unit": (headers(Content_Range="pages 0-65535/99999"), "does not say which"),
    "shifted": (shifted, "were asked for"),
    "short part": (headers(Content_Range="bytes 0-99/100000", Content_Length="100"), "were asked for"),
    "backward part": (headers(Content_Range="bytes 5-4/100000"), "were asked for"),
    "wrong length": (headers(Content_Length="70000"), "announces 70,000 bytes for a part of 65,536"),
    "416": (always(status=416, headers={}, path=None, length=None), "refuses to send the first bytes"),
}


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 1.2 MB that takes several requests."""
    return sketched(tmp_path_factory.mktemp("medium") / "m.onnx", layers=3, width=300)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers(name: str, medium: Path) -> None:
    tamper, what = WRONG[name]
    with Site({"/m.onnx": medium}, tamper) as site:
        line = refusal(site.url("/m.onnx"))
    assert what in line
    assert site.url("/m.onnx") in line
    assert len(site.requests) == 1  # none of them is worth another try


def test_a_server_without_ranges_is_not_downloaded_from(gigabytes: Path) -> None:
    whole = always(status=200, headers={}, start=0, length=gigabytes.stat().st_size)
    with Site({"/m.onnx": gigabytes}, whole) as site:
        line = refusal(site.url("/m.onnx"))
    assert "whole files only" in line
    assert "curl -L" in line
    assert site.sent < 20 * MB  # what the sockets' buffers take


def test_the_file_must_not_change(medium: Path) -> None:
    for tamper in (
        headers(ETag='"other"'),
        headers(Content_Range="bytes 65536-131071/200000"),
        always(status=416, headers={"Content-Range": "bytes */10"}, path=None, length=None),
    ):
        with Site({"/m.onnx": medium}, after(1, tamper)) as site:
            assert "changed while it was read" in refusal(site.url("/m.onnx"))


def test_the_date_decides_where_there_is_no_tag(medium: Path) -> None:
    def dated(request: Request, reply: Reply) -> Reply:
        return replace(reply, headers=reply.headers | {"ETag": "", "Last-Modified": f"day {request.number // 2}"})

    with Site({"/m.onnx": medium}, dated) as site:
        assert "changed while it was read" in refusal(site.url("/m.onnx"))
    assert len(site.requests) == 3


QUICK = "remote.BACK_OFF = (0.01, 0.01)"


def test_a_cut_connection() -> None:
    with Site({"/m.onnx": IC}, always(cut=1000)) as site:
        line = refusal(site.url("/m.onnx"), QUICK)
    assert "the connection was cut after 1,000 of 65,536 bytes (tried 3 times)" in line


def test_no_answer_at_all() -> None:
    with Site({"/m.onnx": IC}, lambda request, reply: None) as site:
        line = refusal(site.url("/m.onnx"), QUICK)
    assert f"the connection to {site.netloc} failed" in line
    assert len(site.requests) == 3


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = refusal(f"http://127.0.0.1:{port}/m.onnx", QUICK)
    assert "connection refused (tried 3 times)" in line


def test_no_such_host() -> None:
    assert "no host nowhere.invalid is known" in refusal("https://nowhere.invalid/m.onnx")


def test_not_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            line, _ = listener.accept()
            line.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            line.recv(1000)
            line.close()

        thread = threading.Thread(target=greet)
        thread.start()
        line = refusal(f"http://127.0.0.1:{listener.getsockname()[1]}/m.onnx")
        thread.join()
    assert "does not answer as an HTTP server does" in line


def test_tls_to_a_port_without_it() -> None:
    with Site({"/m.onnx": IC}) as site:
        line = refusal(site.url("/m.onnx").replace("http:", "https:"))
    assert "no secure connection" in line


def test_an_answer_that_trickles() -> None:
    """Every byte comes well within a socket's time-out; the whole answer does not."""
    slow = always(path=None, body=bytes(1000), trickle=0.1, headers={"Content-Range": "bytes 0-999/1000"}, length=1000)
    with Site({"/m.onnx": IC}, slow) as site:
        line = refusal(site.url("/m.onnx"), "connection.ANSWER_SECONDS = 0.5")
    assert "does not answer in time" in line
    assert site.sent < 20


def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/m.onnx"
        assert "does not answer in time" in refusal(url, "connection.ANSWER_SECONDS = connection.CONNECT_SECONDS = 0.3")


def test_more_than_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunked answer that goes on behind its end, and one that never ends."""

    def chunked(count: int) -> Tamper:
        body = b"%x\r\n%s\r\n" % (65536, IC.read_bytes()[:65536]) + b"10000\r\n" + bytes(65536) + b"\r\n"
        return lambda request, reply: replace(
            reply,
            path=None,
            body=body[: body.index(b"\r\n") + 2 + 65536 + 2] + body[65536 + 9 :] * count + b"0\r\n\r\n",
            headers=reply.headers | {"Transfer-Encoding": "chunked", "Content-Length": ""},
        )

    with Site({"/m.onnx": IC}, chunked(1)) as site, pytest.raises(LoadError, match="more than the 65,536 bytes"):
        read(site.url("/m.onnx"))
    monkeypatch.setattr(connection, "MAX_ANSWER", 30_000)
    with Site({"/m.onnx": IC}) as site, pytest.raises(LoadError, match="does not answer as an HTTP server"):
        read(site.url("/m.onnx"))


def test_an_honest_chunked_answer(medium: Path) -> None:
    def chunked(request: Request, reply: Reply) -> Reply:
        part = medium.read_bytes()[slice(*request.part)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (part[:100], part[100:]) if p) + b"0\r\n\r\n"
        named = {"Transfer-Encoding": "chunked", "Content-Length": ""}
        return replace(reply, path=None, body=body, headers=reply.headers | named)

    with Site({"/m.onnx": medium}, chunked) as site:
        assert len(read(site.url("/m.onnx")).nodes) == len(read(medium).nodes)
    assert site.connections == 1


# ---- trying again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int, medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    busy = up_to(2, always(status=status, path=None, length=None))
    with Site({"/m.onnx": medium}, busy) as site:
        assert read(site.url("/m.onnx")).source.file_bytes == medium.stat().st_size
    assert waits == list(remote.BACK_OFF)
    with Site({"/m.onnx": medium}, always(status=status)) as site:
        with pytest.raises(LoadError, match=rf"busy \({status} .*\(tried 3 times\)"):
            read(site.url("/m.onnx"))
        assert len(site.requests) == 3


def test_a_server_may_say_how_long_to_wait(medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    busy = Reply(503, {"Retry-After": "4"})
    with Site({"/m.onnx": medium}, up_to(1, lambda request, reply: busy)) as site:
        read(site.url("/m.onnx"))
    assert waits == [4.0]
    busy = Reply(503, {"Retry-After": "3600"})
    with (
        Site({"/m.onnx": medium}, lambda request, reply: busy) as site,
        pytest.raises(LoadError, match=r"asks to wait 3,600 s \(tried once\)"),
    ):
        read(site.url("/m.onnx"))
    assert waits == [4.0]


def test_dropped_connections_are_made_again(medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hangs up on a kept-alive connection is asked again at once; one cut in the middle, after a wait."""
    waits: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waits.append)
    seen: set[int] = set()

    def once_each(request: Request, reply: Reply) -> Reply | None:
        if request.connection in seen:
            return None
        seen.add(request.connection)
        return reply

    with Site({"/m.onnx": medium}, once_each) as site:
        found = read(site.url("/m.onnx"))
    assert found.source.read_bytes == site.sent
    assert waits == []
    assert site.connections > 2
    with Site({"/m.onnx": medium}, up_to(1, always(cut=1000))) as site:
        again = read(site.url("/m.onnx"))
    assert waits == [remote.BACK_OFF[0]]
    assert again.source.read_bytes == site.sent == found.source.read_bytes + 1000


@pytest.mark.parametrize("bound", ["MAX_REQUESTS", "TOTAL_SECONDS"])
def test_the_work_is_bounded(bound: str, medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, bound, 2 if bound == "MAX_REQUESTS" else 0.2)
    patient = lambda request, reply: replace(reply, trickle=0.15)  # noqa: E731
    with Site({"/m.onnx": medium}, patient if bound == "TOTAL_SECONDS" else None) as site:
        with pytest.raises(LimitError, match=r"more than .* requests or .* seconds"):
            read(site.url("/m.onnx"))
        assert 1 < len(site.requests) <= 3


# ---- redirects


def redirect(to: Callable[[Request], str], status: int = 302) -> Tamper:
    return lambda request, reply: Reply(status, {"Location": to(request)})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_once(status: int, medium: Path) -> None:
    with Site({"/blob": medium}) as cdn:
        to = redirect(lambda request: cdn.url("/blob?X-Amz-Signature=sesame"), status)
        with Site({"/m.onnx": IC}, to) as hub:
            graph = read(hub.url("/m.onnx"))
            assert report(hub.url("/m.onnx")) == report(str(medium))
    assert graph.source.path == hub.url("/m.onnx")
    assert len(hub.requests) == 2  # one for each reading
    assert {request.target for request in cdn.requests} == {"/blob?X-Amz-Signature=sesame"}


def test_relative_redirects(medium: Path) -> None:
    """The third is UTF-8 as it stands, which a header may not hold and servers send."""
    hops = {"/a/m.onnx": "../b/m.onnx", "/b/m.onnx": "/c ü".encode().decode("latin-1"), "/c%20%C3%BC": "?v=1"}

    def tamper(request: Request, reply: Reply) -> Reply:
        return Reply(302, {"Location": hops[request.target]}) if request.target in hops else reply

    with Site({"/c%20%C3%BC": medium}, tamper) as site:
        assert read(site.url("/a/m.onnx")).source.file_bytes == medium.stat().st_size
    assert [request.target for request in site.requests][:4] == [
        "/a/m.onnx",
        "/b/m.onnx",
        "/c%20%C3%BC",
        "/c%20%C3%BC?v=1",
    ]


def test_an_expired_redirect_is_asked_for_again(medium: Path) -> None:
    """A signed address that worked and then is refused."""
    with Site({"/1": medium, "/2": medium}) as cdn:
        cdn.tamper = lambda request, reply: Reply(403) if request.target == "/1" and request.number > 1 else reply
        with Site({"/m.onnx": IC}) as hub:
            hub.tamper = redirect(lambda request: cdn.url(f"/{request.number + 1}"))
            read(hub.url("/m.onnx"))
            assert len(hub.requests) == 2
        with Site({"/m.onnx": IC}, redirect(lambda request: cdn.url("/1"))) as hub:
            with pytest.raises(LoadError, match="refuses access"):
                read(hub.url("/m.onnx"))
            assert len(hub.requests) == 1  # it never worked


def test_redirects_that_lead_nowhere() -> None:
    for to, what in (
        (lambda request: request.target, "more than 5 redirects"),
        (lambda request: "", "no http or https address"),
        (lambda request: "file:///etc/passwd", "no http or https address"),
        (lambda request: "http://user:sesame@127.0.0.1/", "user name or password"),
        (lambda request: "http://[::1/", "no http or https address"),
    ):
        with Site({"/m.onnx": IC}, redirect(to)) as site:
            line = refusal(site.url("/m.onnx"))
            assert what in line
            assert "sesame" not in line
            assert len(site.requests) <= 6


def test_as_many_redirects_as_allowed(medium: Path) -> None:
    def tamper(request: Request, reply: Reply) -> Reply:
        return Reply(302, {"Location": f"/m.onnx?{request.number}"}) if request.number < 5 else reply

    with Site({"/m.onnx": medium}, tamper) as site:
        assert read(site.url("/m.onnx")).source.file_bytes == medium.stat().st_size


# ---- TLS and proxies


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split()
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(Path(f"{path}.crt").read_bytes())
    return path


def test_a_certificate_nobody_vouches_for(certificate: Path) -> None:
    with Site({"/m.onnx": IC}, certificate=certificate) as site:
        line = refusal(site.url("/m.onnx"))
        assert "is not trusted" in line
        assert "self-signed" in line or "self signed" in line
        assert site.requests == []


def test_https(certificate: Path, medium: Path) -> None:
    with Site({"/m.onnx": medium}, certificate=certificate) as site:
        done = run("report", site.url("/m.onnx"), "--json", SSL_CERT_FILE=str(certificate))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["models"][0]["read_bytes"] == site.sent
        assert site.connections == 1
        with Site({"/m.onnx": medium}) as plain:
            site.tamper = redirect(lambda request: plain.url("/m.onnx"))
            line = refusal(site.url("/m.onnx"), SSL_CERT_FILE=str(certificate))
            assert plain.requests == []
    assert "from https to http" in line


def test_a_proxy_is_used_and_its_password_not_shown(medium: Path) -> None:
    """To an http proxy the whole address is sent; `user:sesame` in base64 is below."""
    with Site({"/m.onnx": medium}) as proxy:
        settings = {"http_proxy": f"http://user:sesame@{proxy.netloc}"}
        done = run("report", "http://models.invalid/m.onnx", "--json", **settings)
        assert done.returncode == 0, done.stderr
        gone = refusal("http://models.invalid/none", **settings)
        direct = refusal("http://models.invalid/m.onnx", no_proxy="models.invalid", **settings)
    assert {request.target for request in proxy.requests} == {
        "http://models.invalid/m.onnx",
        "http://models.invalid/none",
    }
    assert {request.headers["Host"] for request in proxy.requests} == {"models.invalid"}
    assert {request.headers["Proxy-Authorization"] for request in proxy.requests} == {"Basic dXNlcjpzZXNhbWU="}
    assert "sesame" not in gone + direct + done.stdout
    assert "no host models.invalid" in direct


def test_proxies_that_cannot_be_used() -> None:
    line = refusal("https://models.invalid/m.onnx", https_proxy="socks5://user:sesame@localhost:1080")
    assert "HTTPS_PROXY is not understood" in line
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = refusal("https://models.invalid/m.onnx", QUICK, https_proxy=f"user:sesame@127.0.0.1:{port}")
    assert f"through the proxy 127.0.0.1:{port}" in line
    assert "sesame" not in line


# ---- what it costs those who need none of it


def test_a_local_report_imports_no_http() -> None:
    code = (
        "import sys\n"
        "from effaudit.load import read\n"
        f"read({str(IC)!r})\n"
        "print(sorted(sys.modules.keys() & {'http.client', 'ssl', 'socket', 'urllib.request', 'effaudit.load.remote'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
