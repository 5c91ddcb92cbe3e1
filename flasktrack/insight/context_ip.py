"""The network address in a record's context, as SQL reads it from a section's body.

The columnar copy has it as a column; here it is for the records themselves.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class context_ip(GenericFunction[str]):  # noqa: N801 (a function in SQL)
    """`ip` of a context, where it is text; null for any other body: an altered row may hold anything."""

    type = Text()
    inherit_cache = True

    def __init__(self, body: ColumnElement[str | None]) -> None:
        super().__init__(body)


@compiles(context_ip, "sqlite")
def _in_sqlite(element: context_ip, compiler: SQLCompiler, **kw: Any) -> str:
    body = compiler.process(element.clauses, **kw)
    is_text = f"json_valid({body}) AND json_type({body}, '$.ip') = 'text'"
    return f"CASE WHEN {is_text} THEN json_extract({body}, '$.ip') END"


@compiles(context_ip, "postgresql")
def _in_postgresql(element: context_ip, compiler: SQLCompiler, **kw: Any) -> str:
    body = compiler.process(element.clauses, **kw)
    text = f"CASE WHEN json_typeof({body}::json -> 'ip') = 'string' THEN {body}::json ->> 'ip' END"
    # PostgreSQL takes \\u0000 for JSON, but can't make text of it.
    return f"CASE WHEN {body} IS JSON OBJECT AND strpos({body}, '\\u0000') = 0 THEN {text} END"
