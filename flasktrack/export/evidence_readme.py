"""README.txt of an evidence package: what it is and how to check it, for people who have never heard of FlaskTrack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flasktrack.core.printable import printable

COMPLETE = {
    "range": "every position from {first_seq:,} to {last_seq:,} is here",
    "entity": "the entity's records from its first on, without a gap",
    "actor": "the actor's records from its first on, without a gap",
    "none": "no claim is made",
}
"""What the manifest's `complete` means."""

_TEXT = Path(__file__).parent / "evidence_files" / "README.txt"


def readme(manifest: dict[str, Any]) -> str:
    """The text, of what the manifest says but for its files."""
    asked = "; ".join(f"{name} {', '.join(values)}" for name, values in manifest["filter"].items())
    facts = {
        "Origin": manifest["origin"],
        "Exported": f"{manifest['created_at']} by {manifest['created_by']}",
        "Filter": asked or "none",
        "Records": f"{manifest['records']:,}, positions {manifest['first_seq']:,} to {manifest['last_seq']:,}",
        "Checkpoint": f"signed over the first {manifest['tree_size']:,} records of the organization",
        "Withheld": ", ".join(manifest["withheld"]) or "nothing",
        "Complete": COMPLETE[manifest["complete"]].format(**manifest),
    }
    width = max(map(len, facts))
    lines = "\n".join(f"{name:{width}}  {printable(text)}" for name, text in facts.items())
    return _TEXT.read_text(encoding="utf-8").replace("{{FACTS}}", lines)
