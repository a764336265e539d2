"""A web server on loopback that serves files by ranges, counts what it sends, and misbehaves where a test says so."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

PIECE = 64 * 1024


@dataclass
class Request:
    """`number` counts the requests of a server from 0; `part` is the Range asked for, end excluded."""

    number: int
    target: str
    part: tuple[int, int]
    headers: Mapping[str, str]
    connection: int


@dataclass
class Reply:
    """`path` from `start` on, or `body`; `length` bytes are promised, `cut` of them sent (all, where None)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    path: Path | None = None
    start: int = 0
    length: int | None = None
    cut: int | None = None
    close: bool = False
    trickle: float = 0.0  # seconds before each byte


Tamper = Callable[[Request, Reply], Reply | None]


class Site:
    """Serves `files` by their URL path. `tamper` may replace the honest reply; None drops the connection unanswered."""

    def __init__(
        self, files: Mapping[str, Path], tamper: Tamper | None = None, certificate: Path | None = None
    ) -> None:
        self.files = dict(files)
        self.tamper = tamper
        self.requests: list[Request] = []
        self.sent = 0  # body bytes
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https" if certificate else "http"
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"{self._scheme}://{self.netloc}{path}"

    @property
    def connections(self) -> int:
        return len({request.connection for request in self.requests})

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def note(self, handler: BaseHTTPRequestHandler, part: tuple[int, int]) -> Request:
        with self._lock:
            request = Request(
                len(self.requests), handler.path, part, dict(handler.headers.items()), handler.client_address[1]
            )
            self.requests.append(request)
        return request

    def count(self, n: int) -> None:
        with self._lock:
            self.sent += n

    def honest(self, request: Request) -> Reply:
        """What RFC 9110 asks for."""
        path = self.files.get(re.sub(r"^http://[^/]*", "", request.target).partition("?")[0])
        if path is None:
            return Reply(404, body=b"<html>no such page</html>")
        size = path.stat().st_size
        start, stop = request.part[0], min(request.part[1], size)
        if start >= size:
            return Reply(416, {"Content-Range": f"bytes */{size}"})
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "ETag": f'"{size}"'}
        headers["Content-Type"] = "application/octet-stream"
        return Reply(206, headers, path=path, start=start, length=stop - start)

    def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                assert found is not None, "every request asks for a part"
                request = site.note(self, (int(found[1]), int(found[2]) + 1))
                reply: Reply | None = site.honest(request)
                if site.tamper is not None and reply is not None:
                    reply = site.tamper(request, reply)
                if reply is None:
                    self.close_connection = True
                else:
                    _send(self, reply, site)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _send(handler: BaseHTTPRequestHandler, reply: Reply, site: Site) -> None:
    length = len(reply.body) if reply.length is None else reply.length
    handler.send_response(reply.status)
    for name, value in ({"Content-Length": str(length)} | reply.headers).items():
        if value:
            handler.send_header(name, value)
    if reply.close:
        handler.send_header("Connection", "close")
        handler.close_connection = True
    handler.end_headers()
    for piece in _pieces(reply, length):
        if site.stopped.wait(reply.trickle):
            break
        handler.wfile.write(piece)
        site.count(len(piece))
    if reply.cut is not None:
        handler.close_connection = True


def _pieces(reply: Reply, length: int) -> Iterable[bytes]:
    if reply.path is None:
        return [bytes((b,)) for b in reply.body] if reply.trickle else [reply.body]
    wanted = length if reply.cut is None else reply.cut
    path, start = reply.path, reply.start
    return (_part(path, start + at, min(PIECE, wanted - at)) for at in range(0, wanted, PIECE))


def _part(path: Path, start: int, n: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(n)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what these tests are about."""
