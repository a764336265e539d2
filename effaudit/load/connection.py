"""One connection to an HTTP server, straight or through a proxy, and the addresses it takes.

An answer is bounded in time and bytes before anything looks at it. No credentials are ever sent but those of a proxy.
HTTP/1.1: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import string
import time
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from effaudit import __version__
from effaudit.errors import LoadError

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 15.0  # one answer, its body included
MAX_ANSWER: Final = 1024 * 1024  # bytes, headers included
DOWNLOAD: Final = "download the model and report the file"


class Address(msgspec.Struct, frozen=True):
    """A parsed URL. `target` is what a request names, percent-encoded; `label` is what messages and reports show: the
    query is masked, since it may hold a signature."""

    scheme: str
    host: str
    port: int
    path: str
    target: str
    label: str

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _port(self.scheme) else f"{host}:{self.port}"


def address(url: str) -> Address:
    """Raises LoadError on what is no http(s) URL, or one that holds a user name or password."""
    scheme = url.partition(":")[0].lower()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _port(scheme)
        host.encode("idna")
    except ValueError:
        host = ""
    if not host or not host.isprintable() or " " in host:  # not echoed: what cannot be parsed may hold a password
        raise LoadError(f"{scheme}://...: not a valid address; expected {scheme}://HOST/PATH/model.onnx")
    at = Address(scheme, host, port, parts.path, _target(parts.path, parts.query), "")
    label = f"{scheme}://{at.netloc}{parts.path}{'?...' if parts.query else ''}"
    if "@" in parts.netloc:
        raise LoadError(f"{label}: an address with a user name or password is refused; {DOWNLOAD}")
    return msgspec.structs.replace(at, label=label)


def _target(path: str, query: str) -> str:
    # As urllib does: what is percent-encoded stays so, the rest is encoded.
    return quote(f"{path or '/'}{'?' if query else ''}{query}", safe=string.punctuation)


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


class _Bounded(io.RawIOBase):
    """The bytes of one answer, bounded in time and number: a server that trickles or floods cannot hold the reader."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._deadline = time.monotonic() + ANSWER_SECONDS
        self._left = MAX_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        if self._left <= 0:
            raise http.client.HTTPException("more bytes than asked for")
        self._sock.settimeout(seconds)
        n: int | None = self._raw.readinto(buffer)
        self._left -= n or 0
        return n

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """A response read through `_Bounded`, its headers too."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp = io.BufferedReader(_Bounded(sock, self.fp.detach()))


class Connection:
    """A connection to one server, straight or through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name."""

    def __init__(self, at: Address) -> None:
        self._to = (at.scheme, at.host, at.port)
        self.proxy, login = _proxy(at)
        self._headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"effaudit/{__version__}",
        }
        self._whole_urls = bool(self.proxy) and at.scheme == "http"
        host, port = _split(self.proxy) if self.proxy else (at.host, at.port)
        if at.scheme == "https":
            secure = http.client.HTTPSConnection(
                host, port, timeout=CONNECT_SECONDS, context=ssl.create_default_context()
            )
            if self.proxy:
                secure.set_tunnel(at.host, at.port, headers=login)
            self._connection: http.client.HTTPConnection = secure
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
            self._headers.update(login)
        self._connection.response_class = _Answer

    @property
    def connected(self) -> bool:
        return self._connection.sock is not None

    def reaches(self, at: Address) -> bool:
        return self._to == (at.scheme, at.host, at.port)

    def ask(self, at: Address, part: str) -> http.client.HTTPResponse:
        if self.connected:
            self._connection.sock.settimeout(ANSWER_SECONDS)
        target = f"http://{at.netloc}{at.target}" if self._whole_urls else at.target
        self._connection.request("GET", target, headers={**self._headers, "Range": part})
        return self._connection.getresponse()

    def close(self) -> None:
        self._connection.close()


def _proxy(at: Address) -> tuple[str, dict[str, str]]:
    """HOST:PORT of the proxy for an address ("" for none), and the header that carries its password."""
    named = getproxies().get(at.scheme, "")
    if not named or proxy_bypass(f"{at.host}:{at.port}"):
        return "", {}
    expected = f"the proxy in {at.scheme.upper()}_PROXY is not understood; expected http://HOST:PORT"
    try:
        parts = urlsplit(named if "://" in named else f"http://{named}")
        port = parts.port or 80
    except ValueError:
        raise LoadError(f"{at.label}: {expected}") from None
    if parts.scheme != "http" or not parts.hostname:
        raise LoadError(f"{at.label}: {expected}")
    login = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return f"{parts.hostname}:{port}", login


def _split(proxy: str) -> tuple[str, int]:
    host, _, port = proxy.rpartition(":")
    return host, int(port)
