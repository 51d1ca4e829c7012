# SPDX-License-Identifier: MIT
"""The result file's JSON Schema, generated from the model, for other programs that read the file."""

from __future__ import annotations

from typing import Any

import msgspec

from vmlab.report.model import READABLE, RunResult

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def result_schema() -> dict[str, Any]:
    """Return the schema of results.json; it rejects an unknown key, a missing key and a value of the wrong type."""
    _, definitions = msgspec.json.schema_components([RunResult], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
            definition["description"] = definition["description"].splitlines()[0]
    root = definitions.pop(RunResult.__name__) | {"title": "vmlab results"}
    root["properties"]["schema"] = {"enum": list(READABLE)}
    return {"$schema": _DIALECT, **root, "$defs": dict(sorted(definitions.items()))}
