"""The description as a page for people. It is whole in itself: no script, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from flasktrack.http_api.problems import KINDS

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: light-dark(#0b6e99, #6cb8dc); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); } th { font-weight: 600; }
.method { color: var(--accent); font-weight: 600; }
td code { white-space: nowrap; } td:nth-child(2) { min-width: 4rem; }
h2 code { font-size: 1.05rem; } summary { cursor: pointer; margin: .5rem 0; } a { color: var(--accent); }
"""


def openapi_page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    contents = [
        f'<li><a href="#{operation["operationId"]}">{method.upper()} {escape(path)}</a>: '
        f"{_prose(operation['summary'])}</li>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [
        f'<details id="{escape(name)}"><summary>{escape(name)}</summary>'
        f"<pre>{escape(json.dumps(schema, indent=2))}</pre></details>"
        for name, schema in document["components"]["schemas"].items()
    ]
    problems = [
        f'<tr id="{name}"><td><code>{name}</code></td><td>{kind.status}</td><td>{_prose(kind.title)}. '
        f"{_prose(kind.meaning)}</td></tr>"
        for name, kind in KINDS.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}: HTTP interface</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])}: HTTP interface</h1><p>{_prose(info['description'])}</p>"
        "<p>Every request but those for this page has the header <code>Authorization: Bearer ftk_...</code>, an API "
        'key of one organization. For programs: <a href="/v1/openapi.json">/v1/openapi.json</a>.</p>'
        f'<ul>{"".join(contents)}<li><a href="#problems">Errors</a></li><li><a href="#schemas">Schemas</a></li></ul>'
        f"{''.join(operations)}"
        '<h2 id="problems">Errors</h2><p>Each is <code>application/problem+json</code> (RFC 9457); its '
        "<code>type</code> leads here.</p><table><tr><th>type</th><th>status</th><th>meaning</th></tr>"
        f'{"".join(problems)}</table><h2 id="schemas">Schemas</h2>{"".join(schemas)}</html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h2 id="{operation["operationId"]}"><span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code></h2>",
        f"<p>{_prose(operation['summary'])}. {_prose(operation['description'])}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = [
            f"<tr><td><code>{escape(one['name'])}</code></td><td>{_type(one['schema'])}</td>"
            f"<td>{_prose(one['description'])}</td></tr>"
            for one in parameters
        ]
        parts.append(f"<table><tr><th>parameter</th><th>type</th><th>meaning</th></tr>{''.join(rows)}</table>")
    if body := operation.get("requestBody"):
        example = json.dumps(body["content"]["application/json"]["example"], indent=2)
        parts.append(f'<h3>Body</h3><p>Each item is an <a href="#Event">Event</a>.</p><pre>{escape(example)}</pre>')
    answers = [
        f"<tr><td>{status}</td><td>{_prose(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    ]
    parts.append(f"<h3>Answers</h3><table>{''.join(answers)}</table>")
    return "".join(parts)


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return escape(", ".join(schema["enum"]))
    if schema["type"] == "array":
        return f"{_type(schema['items'])}, repeatable"
    bounds = f", {schema['minimum']:,} to {schema['maximum']:,}" if "maximum" in schema else ""
    return escape(schema["type"] + bounds)


def _prose(text: str) -> str:
    """Text with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
