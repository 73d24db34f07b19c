"""Requests that no friendly client sends."""

from __future__ import annotations

import json
from collections.abc import Iterator

DEEP = 5_000
HUGE = 10_000_000

# What a field may be given instead of its value, as it stands in the body.
VALUES = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1" * 400,
    b"0.1" + b"0" * 400 + b"1",
    b"-0.0",
    b"-1",
    b"9223372036854775808",
    b"1e308",
    b"null",
    b"true",
    b'""',
    b'" "',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\xff\xfe"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    '"\u202e\ufeff\U0001f480"'.encode(),
    b'"\x00"',
    b'"\\x41"',
    b'"' + b"a" * 30_000 + b'"',
    b'"../../../etc/passwd"',
    b'"\'; DROP TABLE entry; --"',
    b"[]",
    b"[[]]",
    b"[null]",
    b"[1e308, -1e308]",
    b"[" + b"1," * 100 + b"1]",
    b"{}",
    b'{"": ""}',
    b'{"$where": "1"}',
    b'{"a": 1, "a": 2}',
    b'{"\\u0000": {"\\ud800": 1}}',
    b'{"$not": {"$not": {"$or": []}}}',
    b'{"x": {"$in": 1, "$gt": {}}}',
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
)

# Friendly bodies, of which one field at a time is spoiled.
BODIES: dict[str, dict[str, object]] = {
    "/store": {
        "coord": "1,1",
        "payload": {"text": "stored by a hostile client"},
        "type": "episodic",
        "importance": 0.5,
        "ttl_seconds": 1000,
        "episode": {"name": "e", "order": 1},
        "expected_version": 0,
        "namespace": "hostile",
    },
    "/remember": {"payload": {"text": "remembered"}, "type": "semantic"},
    "/recall": {
        "query": "what?",
        "top_k": 3,
        "type": "episodic",
        "filters": {"text": "x"},
        "mode": "hybrid",
    },
    "/recall_batch": {"queries": ["what?"], "top_k": 3},
    "/recall_with_context": {"query": "what?", "context": {"now": "here"}, "explain": True},
    "/link": {"from_coord": "1,1", "to_coord": "2,2", "type": "related", "weight": 1.0},
    "/unlink": {"from_coord": "1,1", "to_coord": "2,2", "type": "related"},
    "/delete_many": {"coords": ["7,7"], "dry_run": False, "limit": 10},
    "/store_bulk": {"items": [{"coord": "3,3", "payload": {"text": "one of many"}}]},
    "/export_memories": {"path": "a.jsonl", "namespaces": ["hostile"]},
    "/import_memories": {"path": "a.jsonl"},
    "/check": {"repair": False},
}

WHOLE_BODIES = (
    b"",
    b" ",
    b"{",
    b'{"coord"',
    b"{}{}",
    b"{'coord': 1}",
    b'{"coord": "1",}',
    b"/* */ {}",
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    b"\x1f\x8b\x08\x00garbage",
    b"\x00" * 100,
    b"coord=1&payload=2",
    b'{"coord": "1,1", "payload": {"text": "' + b"x" * HUGE + b'"}}',
    b'{"query": "' + b"x" * HUGE + b'"}',
)

PLACES = (
    b"nan",
    b"inf,1",
    b"1e999",
    b"1,,2",
    b",",
    b"%00",
    b"%ff%fe",
    b"%ed%a0%80",
    b"..%2f..%2fetc%2fpasswd",
    b"1" * 5000,
    b",".join([b"1"] * 65),
    b"0x10",
    b"1_000",
    "\u0661".encode().hex().encode(),
    b"%D9%A1",
    b"1%20",
    b"+1",
    b"1;2",
)

_HOST = b" HTTP/1.1\r\nHost: x\r\n"
_LAST = _HOST + b"Connection: close\r\n"
PROTOCOL = (
    b"\r\n\r\n\r\nGET /stats" + _LAST + b"\r\n",
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"FOO /stats" + _LAST + b"\r\n",
    b"TRACE /store" + _LAST + b"\r\n",
    b"GET /stats" + _LAST + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + _LAST + b"\r\n",
    b"POST /store" + _LAST + b"Content-Length: -5\r\n\r\nhello",
    b"POST /store" + _LAST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    b"POST /store" + _LAST + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    b"POST /store" + _LAST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"POST /store" + _LAST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    b"GET /healthz" + _HOST + b"\r\nGET /stats" + _HOST + b"\r\nrubbish\r\n\r\n",
    b"GET /stats" + _LAST + b"X-SFM-Namespace: \xff\xfe\r\n\r\n",
    b"GET /stats" + _LAST + b"X-SFM-Namespace: " + b"n" * 300 + b"\r\n\r\n",
    b"POST /store" + _LAST + b"Expect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}",
)

HEADERS = (
    b"Authorization",
    b"Authorization: Bearer",
    b"Host",
    b"Origin",
    b"Cookie",
    b"X-Forwarded-For",
    b"X-Request-ID",
    b"X-SFM-Namespace",
    b"Idempotency-Key",
    b"If-Match",
    b"If-None-Match",
    b"Accept-Encoding",
    b"Content-Encoding",
    b"Content-Type",
    b"traceparent",
    b"tracestate",
)
HEADER_VALUES = (
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
    b"a\x00b",
    b"a\x7fb",
    b"",
    b'"',
    b'""""',
    b"=?utf-8?q?a?=",
    b"," * 5000,
    b"x" * 5000,
    b"-1",
    b"*",
    b"gzip;q=nan, zstd;q=-1, *;q=1e999",
)


def requests() -> list[bytes]:
    """Return every request, as bytes for a connection of its own."""
    return [*_spoiled_fields(), *_whole_bodies(), *_places(), *_spoiled_headers(), *PROTOCOL]


def _spoiled_fields() -> Iterator[bytes]:
    for path, body in BODIES.items():
        for field in body:
            for value in VALUES:
                yield post(path, _spoiled(body, field, value))
        yield post(path, json.dumps({**body, "unknown": 1}).encode())


def _whole_bodies() -> Iterator[bytes]:
    for path in ("/store", "/recall", "/store_bulk"):
        for whole in WHOLE_BODIES:
            yield post(path, whole)
        yield post(path, b"{}", kind=b"text/html")
        yield post(path, b"{}", kind=b"application/json; charset=utf-16")
    for line in VALUES:
        yield post("/import_memories", line + b"\n" + line, kind=b"application/x-ndjson")


def _places() -> Iterator[bytes]:
    for place in PLACES:
        for path in (b"/memories/%b", b"/memories/%b/history", b"/neighbors?coord=%b"):
            yield _get(path % place)
        yield _get(b"/range?min=%b&max=1,1" % place)
        yield _get(b"/range?min=0,0&max=9,9&limit=%b" % place)
        yield _get(b"/shortest_path?frm=1,1&to=%b" % place)
        yield _get(b"/stats?namespace=%b" % place)
        yield _get(b"/export_memories?namespaces=%b" % place)


def _spoiled_headers() -> Iterator[bytes]:
    body = b'{"payload": {"text": "t"}, "coord": "1,1"}'
    sent = b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    for name in HEADERS:
        for value in HEADER_VALUES:
            line = b"%b%b%b\r\n" % (name, b" " if b":" in name else b": ", value)
            yield b"POST /store" + _HOST + line + sent
            yield b"PUT /memories/1,1" + _HOST + line + sent
            yield b"GET /export_memories" + _LAST + line + b"\r\n"
    for value in HEADER_VALUES:
        if value:
            yield b"GET /events" + _LAST + b"Last-Event-ID: %b\r\n\r\n" % value


def post(path: str, body: bytes, *, kind: bytes = b"application/json") -> bytes:
    """Return a whole POST request."""
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: %b\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return head % (path.encode(), kind) + length + body


def _get(target: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target


def _spoiled(body: dict[str, object], field: str, value: bytes) -> bytes:
    members = [
        json.dumps(name).encode()
        + b":"
        + (value if name == field else json.dumps(content).encode())
        for name, content in body.items()
    ]
    return b"{" + b",".join(members) + b"}"
