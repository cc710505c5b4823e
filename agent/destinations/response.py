"""The bytes of one HTTP/1.1 response → status, headers, body. No I/O; the grammar is llhttp's."""

from __future__ import annotations

import httptools

MAX_HEAD_BYTES = 100 * 1024


class HeadError(Exception):
    """What came is no response, or ended too early."""


class ResponseParser:
    """Collects one response. ``feed`` gives it bytes; no bytes is the end of the connection."""

    def __init__(self) -> None:
        """Expect the first byte."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.head_is_complete = False
        self.is_complete = False
        self.keep_alive = False
        self._chunks: list[bytes] = []
        self._head_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse ``data``. Raises ``HeadError``, also when the connection ends before the response does."""
        if self.is_complete:
            return
        if not data:
            self._end()
            return
        if not self.head_is_complete:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise HeadError("the server switched protocols unasked") from error
        except httptools.HttpParserError as error:
            self._refuse_unless_complete(error)
        if not self.head_is_complete and self._head_bytes > MAX_HEAD_BYTES:
            raise HeadError(f"a response head of more than {MAX_HEAD_BYTES} bytes")

    def take(self) -> list[bytes]:
        """Return the body's bytes that arrived since the last call."""
        chunks, self._chunks = self._chunks, []
        return chunks

    def _refuse_unless_complete(self, error: Exception) -> None:
        """Raise, except for what a server sends after a complete response: that only ends the connection."""
        if not self.is_complete:
            raise HeadError(f"no HTTP response ({type(error).__name__})") from error
        self.keep_alive = False

    def _end(self) -> None:
        """Judge the end of the connection: it ends a body of no stated length, and cuts anything else."""
        if not self.head_is_complete:
            raise HeadError("the server closed the connection without a response")
        names = {name.lower() for name, _ in self.headers}
        if names & {b"content-length", b"transfer-encoding"}:
            raise HeadError("the server closed the connection in the middle of its response")
        self.is_complete = True

    # Called by the parser. What follows a complete response is none of ours; it only ends the connection.

    def on_message_begin(self) -> None:
        """Notice a second response to one request."""
        if self.is_complete:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        if not self.head_is_complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status; a 1XX is only an announcement."""
        if not self.head_is_complete:
            self.status = self._parser.get_status_code()
            self.head_is_complete = self.status >= 200
            self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        if not self.is_complete:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """End the response, or forget an announcement."""
        self.is_complete = self.head_is_complete
        if not self.is_complete:
            self.headers = []
