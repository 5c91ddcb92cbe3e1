"""Text that every kind of markup would change, if it were read as markup, in records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flasktrack.core.record import Event

NASTY = (
    "**bold** <b>b</b> <script>alert(1)</script> :material/home: :red[red] :smile: $x^2$ [l](https://example.org) "
    "![i](https://example.org/i.png) `code` # h ~~s~~ | a | \\* &amp; https://example.org "
    "HTTP://example.org www.example.org m@example.org >= -> --"
)
HIDDEN = "ad\u202enim\u200b"
"""What would be drawn as something else: from right to left, and with a character that is not seen."""
_START = datetime(2026, 11, 2, 8, tzinfo=UTC)


def nasty_events() -> list[Event]:
    """Four acts that say NASTY wherever a record can."""
    return [
        Event(
            occurred_at=_START + timedelta(hours=number),
            actor_type="user",
            actor_id=f"{NASTY} {number % 2}",
            actor_name=NASTY,
            actor_role=NASTY,
            action="update",
            entity_type="sample",
            entity_id=NASTY,
            entity_name=NASTY,
            related=[("batch", NASTY)],
            reason=NASTY,
            credential_id=NASTY,
            correlation_id=NASTY,
            before={NASTY: NASTY, "list": [NASTY]},
            after={NASTY: number, "list": [{"id": NASTY}]},
            context={NASTY: NASTY, "hidden": HIDDEN},
        )
        for number in range(4)
    ]
