"""What the collector answers for each event and for each body (WIRE 4.1, 4.2)."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from tests.collector.calls import PATH, TIME, bulk, collecting, event

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]


async def test_a_valid_event_is_stored_as_received_and_in_no_list() -> None:
    async with collecting() as c:
        odd = b'{"unique_id":"a.1-_",  "event":{"b":1,"a":1.50}, "create_time":"' + TIME.encode() + b'", "more":null}'
        answer = await c.post(b'{"events":[' + odd + b"]}")
        assert answer.status_code == 201
        assert answer.json() == {"success_events": [], "discard_events": [], "retry_events": []}
        assert c.store.newest(5) == [odd]


async def test_the_content_type_does_not_matter() -> None:
    async with collecting() as c:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await c.post(bulk(event("a")), headers=headers)).status_code == 201
        assert (await c.post(bulk(event("b")), headers={"Content-Type": "text/x; charset=nonsense"})).status_code == 201
        assert c.store.ids() == ["a", "b"]


async def test_an_event_that_was_there_before_is_a_duplicate_and_the_first_one_stays() -> None:
    async with collecting() as c:
        first = event("a", event={"n": 1})
        await c.lists(bulk(first))
        done, refused = await c.lists(bulk(event("a", event={"n": 2}), event("b")))
        assert (done, refused) == ({"a": "duplicate"}, {})
        assert [json.loads(e) for e in c.store.newest(5)] == [event("b"), first]


async def test_an_event_twice_in_a_request_is_stored_once() -> None:
    async with collecting() as c:
        done, _ = await c.lists(bulk(event("a"), event("b"), event("a")))
        assert done == {"a": "duplicate"}
        assert c.store.ids() == ["a", "b"]


async def test_every_event_is_listed_when_the_sender_wants_it() -> None:
    async with collecting() as c:
        await c.lists(bulk(event("a")))
        body = bulk(event("a"), event("b"), event("c", create_time="no"), always_respond_with_events=True)
        assert await c.lists(body) == ({"a": "duplicate", "b": "success"}, {"c": "invalid"})


INVALID: list[dict[str, Any]] = [
    {"unique_id": "a b"},
    {"unique_id": "a\n"},
    {"unique_id": ""},
    {"unique_id": "é"},
    {"unique_id": 7},
    {"unique_id": None},
    {"unique_id": "x" * 257},
    {"create_time": "yesterday"},
    {"create_time": "2026-05-04T12:00:00"},
    {"create_time": 1},
    {"create_time": None},
    {"event": "text"},
    {"event": []},
    {"event": None},
]


async def test_an_invalid_event_is_discarded_by_itself_with_a_reason() -> None:
    async with collecting() as c:
        for number, changes in enumerate(INVALID):
            bad = event("bad", **changes)
            answer = (await c.post(bulk(event(f"a{number}"), bad, event(f"b{number}")))).json()
            [refused] = answer["discard_events"]
            assert refused["status"] == "invalid", changes
            assert refused["status_message"]
            assert refused["unique_id"] == (bad["unique_id"] if isinstance(bad["unique_id"], str) else "")
            assert answer["success_events"] == []
            assert c.store.ids()[-2:] == [f"a{number}", f"b{number}"], changes
        assert c.store.count() == 2 * len(INVALID)


@pytest.mark.parametrize("missing", ["unique_id", "create_time", "event"])
async def test_an_event_without_a_member_is_invalid(missing: str) -> None:
    async with collecting() as c:
        bad = event("bad")
        del bad[missing]
        _, refused = await c.lists(bulk(bad, event("a")))
        assert list(refused.values()) == ["invalid"]
        assert c.store.ids() == ["a"]


@pytest.mark.parametrize("other", [1, None, "x", [], [[]], {}])
async def test_what_is_no_event_at_all_is_invalid(other: object) -> None:
    async with collecting() as c:
        _, refused = await c.lists(bulk(other, event("a")))
        assert refused == {"": "invalid"}
        assert c.store.ids() == ["a"]


async def test_an_id_both_stored_and_refused_is_told_as_stored() -> None:
    async with collecting() as c:
        done, refused = await c.lists(bulk(event("a"), event("a", create_time="no")))
        assert (done, refused) == ({"a": "success"}, {"a": "invalid"})


@pytest.mark.parametrize(
    "time", ["2026-12-31T23:59:60Z", "2026-05-04t12:00:00z", "2026-05-04T12:00:00.1+05:30", "0001-01-01T00:00:00Z"]
)
async def test_every_form_of_rfc_3339_is_a_time(time: str) -> None:
    async with collecting() as c:
        assert await c.lists(bulk(event("a", create_time=time))) == ({}, {})
        assert c.store.ids() == ["a"]


@pytest.mark.parametrize("kind", ["null", "1e999999", "9" * 5000, '"\\u0000"', '"\\"x"', "{}", "[[]]", "-0.0"])
async def test_the_inside_of_an_event_is_free_form(kind: str) -> None:
    async with collecting() as c:
        body = f'{{"events":[{{"unique_id":"a","create_time":"{TIME}","event":{{"log_type":{kind}}}}}]}}'
        assert await c.lists(body.encode()) == ({}, {})
        assert c.store.ids() == ["a"]


NO_BULK = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"no",
    b'{"events":null}',
    b'{"events":{}}',
    b'{"events":[]',
    b'{"events":[]}x',
    b'{"events":[{]}',
    b'{"events":[],"always_respond_with_events":7}',
    b'{"events":[{"unique_id":"a\xff"}]}',
    b'{"events":[{"unique_id":"a\x00"}]}',
    b"\x00" * 1000,
    b"[" * 1_000_000,
    b'{"x":' * 200_000,
    b'{"' + b"k" * 1_000_000 + b'":1}',
    b'{"events":' + b"9" * 100_000 + b"}",
]


async def test_a_body_that_is_no_bulk_of_events_is_refused_as_a_whole() -> None:
    async with collecting() as c:
        for body in NO_BULK:
            answer = await c.post(body)
            assert answer.status_code == 400, body[:40]
            assert set(answer.json()) == {"error_code", "error_message"}
        assert await c.lists(bulk(event("a"))) == ({}, {})
        assert c.store.ids() == ["a"]


@pytest.mark.parametrize(
    "inside",
    ['{"x":"\\ud800"}', '{"log_type":"\\udc80"}', '{"x":%s}' % ("[" * 100_000 + "]" * 100_000)],
    ids=["lone surrogate", "lone surrogate in log_type", "nested deeply"],
)
async def test_an_event_that_cannot_be_decoded_costs_only_itself_and_is_named(inside: str) -> None:
    async with collecting() as c:
        bad = f'{{"unique_id":"bad","create_time":"{TIME}","event":{inside}}}'
        inner = {"s": '},]"\\', "events": ["x", {}]}
        first, last = (json.dumps(event(name, event=inner)) for name in ("a", "b"))
        body = f'{{"other":[1,{{"events":[2]}}], "events": [ {first},{bad} , {last}\n]}}'
        assert await c.lists(body.encode()) == ({}, {"bad": "invalid"})
        assert [e.decode() for e in c.store.newest(5)] == [last, first]


async def test_a_key_or_a_value_of_a_megabyte_is_only_a_large_event() -> None:
    async with collecting() as c:
        large = event("a", event={"k" * 1_000_000: "v" * 1_000_000})
        assert await c.lists(bulk(large, {"k" * 1_000_000: 1})) == ({}, {"": "invalid"})
        assert [json.loads(e) for e in c.store.newest(1)] == [large]


async def test_a_huge_id_is_repeated_only_in_part() -> None:
    async with collecting() as c:
        answer = await c.post(bulk(event("x" * 1_000_000)))
        assert answer.status_code == 201
        assert len(answer.content) < 10_000


async def test_no_events_are_a_request_too() -> None:
    async with collecting() as c:
        assert await c.lists(b' {"always_respond_with_events": null, "events" : [ ] } ') == ({}, {})


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
async def test_a_gzip_body_is_read(encoding: str) -> None:
    async with collecting() as c:
        body = gzip.compress(bulk(event("a")))
        assert await c.lists(body, headers={"Content-Encoding": encoding}) == ({}, {})
        assert c.store.ids() == ["a"]


async def test_a_gzip_body_of_several_members_is_read_whole() -> None:
    async with collecting() as c:
        whole = bulk(event("a"), event("b"))
        body = b"".join(gzip.compress(part) for part in (whole[:30], b"", whole[30:]))
        assert await c.lists(body, headers={"Content-Encoding": "gzip"}) == ({}, {})
        assert c.store.ids() == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        gzip.compress(b"{}")[:-3],
        gzip.compress(b"{}") + b"more",
        zlib.compress(b"{}"),
        gzip.compress(b"{}") + gzip.compress(b" ")[:-3],
    ],
    ids=["empty", "other", "cut", "longer", "zlib", "second member cut"],
)
async def test_what_only_claims_to_be_gzip_is_refused(body: bytes) -> None:
    async with collecting() as c:
        assert (await c.post(body, headers={"Content-Encoding": "gzip"})).status_code == 400


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 1000])
async def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    async with collecting() as c:
        answer = await c.post(bulk(event("a")), headers={"Content-Encoding": encoding})
        assert answer.status_code == 415
        assert c.store.count() == 0


async def test_errors_have_the_shape_of_the_api() -> None:
    async with collecting() as c:
        missing = await c.http.get("/v2/other")
        wrong = await c.http.get(PATH)
        assert (missing.status_code, wrong.status_code) == (404, 405)
        assert wrong.headers["Allow"] == "POST"
        assert all(set(a.json()) == {"error_code", "error_message"} for a in (missing, wrong))


async def test_health_is_told() -> None:
    async with collecting(tokens=("secret",)) as c:
        assert (await c.http.get("/healthz")).json() == {"status": "ok"}
        assert (await c.http.head("/healthz")).status_code == 200
