"""Plain words for the closed vocabularies of the spec."""

from __future__ import annotations

ACTOR_TYPE_WORDS = {
    "user": "Person",
    "api_key": "API key",
    "service_account": "Service account",
    "automation": "Automation",
    "system": "System",
}
"""Types of actors; a value that is none (somebody altered it) has no word."""
