"""The served OpenAPI document is valid, needs credentials, and tells every answer there is."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import jsonschema_rs
import pytest

from agent.collector.app import OPERATIONS
from tests.collector.calls import collecting, process

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "the-token"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance"),
    *("response_schema_conformance", "ignored_auth", "unsupported_method"),
)


@pytest.mark.anyio
async def test_the_document_is_served_to_callers_with_credentials_and_names_every_operation() -> None:
    async with collecting(tokens=(TOKEN,)) as c:
        assert (await c.http.get("/openapi.json")).status_code == 401
        document = (await c.http.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})).json()
    found = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert found == {(operation.method, operation.path) for operation in OPERATIONS}
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


@pytest.mark.limit(580)
@pytest.mark.usefixtures("each_database")
def test_no_request_made_from_the_document_or_beside_it_gets_an_answer_that_it_does_not_tell(tmp_path: Path) -> None:
    with process(tmp_path, environment={"AUDIT_COLLECTOR_TOKEN": TOKEN}) as collector:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{collector.url()}/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--checks", ",".join(CHECKS)),
            *(
                "--max-examples",
                "25",
                "--generation-deterministic",
                "--no-color",
                "--suppress-health-check",
                "all",
            ),
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=550)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert "Traceback" not in collector.output()
        assert "store_query_failed" not in collector.output()
