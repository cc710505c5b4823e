"""What every registered authentication scheme promises: walks the registry."""

from __future__ import annotations

import httpx
import pytest

from agent import auth
from agent.config.model import AgilicusBearer, Authentication, HttpBasic, HttpBearer
from agent.config.secrets import Secret
from agent.errors import SecretError

HIDDEN = "hunter2-the-secret"


def example(kind: str, secret: str) -> Authentication:
    """Return a configuration that fits every scheme; each takes its own part."""
    return Authentication(
        authentication_type=kind,
        http_basic=HttpBasic(username="shipper", password=Secret(secret)),
        http_bearer=HttpBearer(token=Secret(secret)),
        agilicus_bearer=AgilicusBearer(token=Secret(secret)),
    )


SIGNING = sorted(set(auth.SCHEMES) - {"none"})


@pytest.mark.parametrize("kind", sorted(auth.SCHEMES))
def test_the_example_has_no_problems(kind: str) -> None:
    assert auth.problems(example(kind, HIDDEN)) == []


@pytest.mark.parametrize("kind", sorted(auth.SCHEMES))
def test_building_resolves_no_secret(kind: str) -> None:
    auth.build(example(kind, "${file:/nonexistent/secret}"))


@pytest.mark.parametrize("kind", SIGNING)
def test_the_secret_is_resolved_when_a_request_needs_it(kind: str) -> None:
    signer = auth.build(example(kind, "${file:/nonexistent/secret}"))
    assert signer is not None
    with pytest.raises(SecretError):
        next(signer.auth_flow(httpx.Request("POST", "https://a.example/")))


@pytest.mark.parametrize("kind", SIGNING)
def test_a_signer_shows_no_secret(kind: str) -> None:
    signer = auth.build(example(kind, HIDDEN))
    assert signer is not None
    request = next(signer.auth_flow(httpx.Request("POST", "https://a.example/")))
    assert "Authorization" in request.headers
    assert HIDDEN not in f"{signer!r} {request!r} {request.headers!r}"


@pytest.mark.parametrize("kind", SIGNING)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_request_is_repeated_exactly_once(kind: str, status: int) -> None:
    signer = auth.build(example(kind, HIDDEN))
    assert signer is not None
    flow = signer.auth_flow(httpx.Request("POST", "https://a.example/"))
    next(flow)
    flow.send(httpx.Response(status))
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(status))
