"""A model behind an http:// or https:// address, read by range requests: its weights are never asked for.

Forward in small windows over one kept-alive connection. Every answer is checked against what was asked and against the
answers before it, so that a server that ignores ranges, a page for logging in or a file replaced meanwhile ends in one
line and not in wrong numbers. Range requests: https://www.rfc-editor.org/rfc/rfc9110#section-14
Standard library only; imported only for an address, since its imports cost more than auditing a small model.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import string
import time
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from effaudit.errors import LimitError, LoadError
from effaudit.load.connection import DOWNLOAD, Address, Connection, address

OPENING_WINDOW: Final = 64 * 1024  # the graph comes first in most files
JUMP_WINDOW: Final = 2 * 1024  # behind a weight stands the head of the next one
LARGE_WINDOW: Final = 256 * 1024
NEAR: Final = 16 * 1024  # a jump this short is no reason to start small again: requests cost more than bytes

TOTAL_SECONDS: Final = 600.0
MAX_REQUESTS: Final = 20_000
MAX_REDIRECTS: Final = 5
BACK_OFF: Final = (0.3, 1.0)  # seconds before each further try
MAX_WAIT: Final = 5.0  # the longest Retry-After that is waited for

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_BUSY: Final = frozenset((429, 502, 503, 504))
_REFUSED: Final = frozenset((401, 403, 404, 410))
_PIPE: Final = "download the model, or pipe it: `curl -L ADDRESS | effaudit report -`"
_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})", re.ASCII | re.IGNORECASE)
_EMPTY: Final = re.compile(r"bytes \*/0", re.IGNORECASE)


class _Again(Exception):
    """A failure that may pass: worth another try after `wait` seconds (None: the usual back-off)."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class _Lost(_Again):
    """The connection failed or was cut."""


class Server:
    """A file on a server: `get` returns parts of it, `total` is its length once known, `received` counts body bytes."""

    def __init__(self, at: Address) -> None:
        self.total: int | None = None
        self.received = 0
        self._given = self._at = at  # as named, and where that led
        self._line: Connection | None = None
        self._tags: dict[str, str] = {}
        self._requests = 0
        self._end = time.monotonic() + TOTAL_SECONDS

    def get(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`, or to the end of the file where that comes first.

        Raises LoadError where the server does not deliver them, LimitError past `MAX_REQUESTS` or `TOTAL_SECONDS`.
        """
        tries = 0
        while True:
            kept_alive = self._line is not None and self._line.connected
            try:
                return self._attempt(start, stop)
            except _Again as failure:
                self.close()
                if kept_alive and isinstance(failure, _Lost):
                    continue  # servers drop idle connections; a new one tells whether that was all
                wait = failure.wait
                if tries == len(BACK_OFF) or (wait is not None and wait > MAX_WAIT):
                    raise self._error(
                        f"{failure} (tried {_times(tries + 1)}); try again later, or {DOWNLOAD}"
                    ) from None
                time.sleep(max(BACK_OFF[tries], wait or 0.0))
                tries += 1

    def close(self) -> None:
        if self._line is not None:
            self._line.close()

    def _attempt(self, start: int, stop: int) -> bytes:
        at, redirects = self._at, 0
        while redirects <= MAX_REDIRECTS:
            answer = self._ask(at, start, stop)
            if answer.status in _REDIRECTS:
                at = self._redirected(at, answer.getheader("Location") or "")
                redirects += 1
            elif answer.status in _REFUSED and at is self._at and at is not self._given:
                at = self._given  # a signed address that has expired: ask for another
            else:
                self._at = at
                return self._body(answer, start, stop)
            self.close()
        raise self._error(f"more than {MAX_REDIRECTS} redirects; {DOWNLOAD}")

    def _redirected(self, at: Address, location: str) -> Address:
        location = quote(location, safe=string.punctuation, encoding="iso-8859-1")  # header bytes, whatever they encode
        try:
            url = urljoin(f"{at.scheme}://{at.netloc}{at.target}", location)
            scheme = urlsplit(url).scheme
        except ValueError:
            scheme = ""
        if not location or scheme not in ("http", "https"):
            raise self._error(f"redirected to what is no http or https address; {DOWNLOAD}")
        if at.scheme == "https" and scheme == "http":
            raise self._error(f"redirected from https to http, which is not secure; refused; {DOWNLOAD}")
        try:
            return address(url)
        except LoadError as error:
            raise self._error(f"redirected to {error}") from None

    def _ask(self, at: Address, start: int, stop: int) -> http.client.HTTPResponse:
        """The head of the answer. Raises _Again where the connection fails."""
        self._requests += 1
        if self._requests > MAX_REQUESTS or time.monotonic() > self._end:
            raise LimitError(
                f"{self._given.label}: more than {MAX_REQUESTS:,} requests or {TOTAL_SECONDS:.0f} seconds; {DOWNLOAD}"
            )
        try:
            if self._line is None or not self._line.reaches(at):
                self.close()
                self._line = Connection(at)
            return self._line.ask(at, f"bytes={start}-{stop - 1}")
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise self._failure(at, error) from None

    def _failure(self, at: Address, error: Exception) -> Exception:
        """What a failed request means, as the exception to raise."""
        through = f" (through the proxy {self._line.proxy})" if self._line is not None and self._line.proxy else ""
        if isinstance(error, TimeoutError):
            return self._error(f"{at.netloc} does not answer in time{through}; try again later, or {DOWNLOAD}")
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._error(
                f"the certificate of {at.netloc} is not trusted ({error.verify_message}){through}; check the address, "
                "or name the certificate authority in SSL_CERT_FILE"
            )
        if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            reason = (error.reason or "TLS failure").replace("_", " ").lower()
            return self._error(
                f"no secure connection to {at.netloc} ({reason}){through}; does this port speak TLS? Check the address"
            )
        if isinstance(error, (socket.gaierror, UnicodeError)):
            name = self._line.proxy if self._line is not None and self._line.proxy else at.host
            return self._error(f"no host {name} is known; check the address and the network")
        if isinstance(error, OSError):
            why = (error.strerror or str(error) or "connection closed").lower()
            return _Lost(f"the connection to {at.netloc} failed{through}: {why}")
        return self._error(f"{at.netloc} does not answer as an HTTP server does{through}; check the address")

    def _body(self, answer: http.client.HTTPResponse, start: int, stop: int) -> bytes:
        """The bytes of a 206 answer; whatever is promised or delivered otherwise is an error."""
        self._check_head(answer)
        if answer.status == 416:
            return self._past_the_end(answer)
        found = _RANGE.fullmatch((answer.getheader("Content-Range") or "").strip())
        if found is None:
            raise self._error(f"the server sends a part but does not say which; {_PIPE}")
        first, last, total = (int(part) for part in found.groups())
        if total != (total if self.total is None else self.total):
            raise self._changed()
        if (first, last) != (start, min(stop, total) - 1) or first > last:
            raise self._error(
                f"bytes {start:,} to {stop - 1:,} were asked for, the server sends {first:,} to {last:,} of {total:,}; "
                f"{_PIPE}"
            )
        length = last - first + 1
        if answer.length is not None and answer.length != length:
            raise self._error(f"the server announces {answer.length:,} bytes for a part of {length:,}; {_PIPE}")
        self._check_unchanged(answer)
        self.total = total
        return self._read(answer, length)

    def _check_head(self, answer: http.client.HTTPResponse) -> None:
        status = answer.status
        words = f"{status} {http.client.responses.get(status, '')}".strip()
        if status in _BUSY:
            after = answer.getheader("Retry-After") or ""
            wait = float(after) if after.isdecimal() and len(after) < 9 else None
            asks = f" and asks to wait {wait:,.0f} s" if wait else ""
            raise _Again(f"the server is busy ({words}){asks}", wait)
        if status in (200, 206) and (answer.getheader("Content-Type") or "").lower().startswith("text/html"):
            raise self._error(
                "the server sends a web page, not a model (a page for logging in?); "
                f"give the link of the file itself, or {DOWNLOAD}"
            )
        if status == 200:
            raise self._error(f"the server sends whole files only, not parts of them; {_PIPE}")
        if status in (401, 403, 407):
            raise self._error(
                f"the server refuses access ({words}); no credentials are sent, and a signed link may have expired: "
                f"{DOWNLOAD}"
            )
        if status in (404, 410):
            raise self._error(f"the server has no such file ({words}); check the address")
        if status not in (206, 416):
            raise self._error(f"the server answers {words}; check the address, or {DOWNLOAD}")
        if (answer.getheader("Content-Encoding") or "identity").lower() != "identity":
            raise self._error(f"the server sends the file compressed, though asked not to; {_PIPE}")

    def _past_the_end(self, answer: http.client.HTTPResponse) -> bytes:
        """A range that cannot be satisfied: of an empty file, or of one that has shrunk."""
        if self.total is not None:
            raise self._changed()
        if not _EMPTY.fullmatch((answer.getheader("Content-Range") or "").strip()):
            raise self._error(f"the server refuses to send the first bytes (416); {_PIPE}")
        self.total = 0
        self.close()
        return b""

    def _check_unchanged(self, answer: http.client.HTTPResponse) -> None:
        """The entity tag decides where both answers have one; else the date of the last change."""
        tags = {name: value for name in ("ETag", "Last-Modified") if (value := answer.getheader(name))}
        for name in ("ETag", "Last-Modified"):
            if name in tags and name in self._tags:
                if tags[name] != self._tags[name]:
                    raise self._changed()
                break
        self._tags = self._tags or tags

    def _read(self, answer: http.client.HTTPResponse, length: int) -> bytes:
        try:
            data = answer.read(length)
            beyond = b"" if answer.isclosed() or answer.length is not None else answer.read(1)
        except http.client.IncompleteRead as cut:
            data, beyond = cut.partial, b""
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(self._at, error) from None
        self.received += len(data) + len(beyond)
        if beyond:
            raise self._error(f"the server sends more than the {length:,} bytes of the part asked for; {_PIPE}")
        if len(data) < length:
            raise _Lost(f"the connection was cut after {len(data):,} of {length:,} bytes")
        return data

    def _changed(self) -> LoadError:
        return self._error("the file changed while it was read; run again")

    def _error(self, what: str) -> LoadError:
        return LoadError(f"{self._given.label}: {what}")


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


class RemoteFeed:
    """The bytes of a file on a server, read forward: small windows behind a weight, growing ones where the reading goes
    on. What a window already holds is not asked for twice."""

    rereadable = False

    def __init__(self, server: Server) -> None:
        self._server = server
        self._window = OPENING_WINDOW
        self.buf = b""
        self.base = 0

    @property
    def size(self) -> int | None:
        return self._server.total

    @property
    def read_bytes(self) -> int:
        return self._server.received

    def fill(self, pos: int, n: int) -> None:
        """Raises LoadError where the server does not deliver, LimitError past the bounds of `Server.get`."""
        end = self.base + len(self.buf)
        if pos - end <= NEAR:
            window, self._window = self._window, min(self._window * 2, LARGE_WINDOW)
        else:
            window = self._window = JUMP_WINDOW
        pieces = [self.buf[pos - self.base :]] if pos < end else []
        start = end if pieces else pos
        stop = max(pos + n, start + window)
        while self.size is None or start < min(stop, self.size):
            most = stop if self.size is None else min(stop, self.size)
            pieces.append(self._server.get(start, min(most, start + LARGE_WINDOW)))
            start += len(pieces[-1])
        self.buf, self.base = b"".join(pieces), pos
