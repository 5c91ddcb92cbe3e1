"""The rules: what each looks for, why a regulator wants it looked at, and what an organization may set.

docs/attention.md documents every one of them, and a test keeps the two in step. What a rule asks is in the modules
`times`, `changes`, `access` and `novelty`.
"""

from __future__ import annotations

from flasktrack.insight.attention.rule import ALCOA, ANNEX, CFR, GMP, HIGH, LOW, MEDIUM, MHRA, Citation, Rule, Threshold
from flasktrack.insight.week_hours import DAYS

_AUDIT_TRAIL = Citation(
    CFR,
    "§ 11.10(e)",
    "time-stamped audit trails record each entry; changes hide nothing that was recorded before",
)
_AUTHORITY = Citation(CFR, "§ 11.10(g)", "authority checks: only authorized individuals use the system, sign or alter")
_DEVICES = Citation(CFR, "§ 11.10(h)", "checks of the device, to judge the source of an entry or instruction")
_ACCESS = Citation(CFR, "§ 11.10(d)", "access is limited to authorized individuals")
_ATTEMPTS = Citation(CFR, "§ 11.300(d)", "attempts at unauthorized use are detected, and reported at once")
_REASON = Citation(ANNEX, "9", "the reason for a change or deletion is documented; audit trails are regularly reviewed")
_WHO_WHEN = Citation(ANNEX, "12.4", "who enters, changes, confirms or deletes data is recorded, with date and time")
_RIGHTS = Citation(ANNEX, "12.3", "creation, change and cancellation of access authorisations are recorded")
_ENTRY = Citation(ANNEX, "12.1", "controls prevent unauthorised entry to the system")
_TRAIL = Citation(MHRA, "6.13", "audit trails show who changed or deleted what, when and why, and are reviewed")
_ROLES = Citation(MHRA, "6.16", "access by role; no shared logins; nobody administers data of their own interest")
_TRANSACTIONS = Citation(MHRA, "6.12", "critical operations are recorded by the user as they happen, each by itself")
_AT_ONCE = Citation(GMP, "§ 211.160(a)", "laboratory work is documented at the time of performance")
_CLOCKS = Citation(MHRA, "5.1", "clocks for recording timed events are controlled and synchronised")
_SECOND_PERSON = Citation(GMP, "§ 211.194(a)(8)", "a second person reviews the original records of a test")
_CONTEMPORANEOUS = Citation(ALCOA, "contemporaneous", "recorded at the time of the act")
_ATTRIBUTABLE = Citation(ALCOA, "attributable", "it can be told who acted")
_COMPLETE = Citation(ALCOA, "complete", "nothing was deleted or left out")
_DELETIONS = ("delete", "destroy", "purge", "remove")

RULES = {
    rule.name: rule
    for rule in (
        Rule(
            "state_gap", "Unrecorded changes", HIGH,
            "an act whose `before` is not the state that was last recorded of the entity",
            "Something changed the entity past the audit trail, by hand in the database or by a program that records "
            "nothing: who did it, and why, is unknown.",
            (_AUDIT_TRAIL, _TRAIL, _COMPLETE),
        ),
        Rule(
            "self_approval", "Self-approval", HIGH,
            "an approval by the one person who made every change since the last approval",
            "The second pair of eyes was the first: nobody independent has looked at what was approved.",
            (_SECOND_PERSON, _AUTHORITY, _ROLES),
            (Threshold("actions", "Actions that approve", ("approve", "certify", "release", "sign")),),
        ),
        Rule(
            "bulk_deletion", "Bulk deletions", HIGH,
            "many deletions by one actor within a short time",
            "Data that is removed wholesale may be removed to hide it, and a script may have done it under "
            "somebody's name.",
            (_AUDIT_TRAIL, _REASON, _COMPLETE),
            (
                Threshold("acts", "Deletions, at least", 20, "acts", least=2),
                Threshold("minutes", "within", 10, "minutes", most=10_080),
                Threshold("actions", "Actions that delete", _DELETIONS),
            ),
        ),
        Rule(
            "no_reason", "Changes without a reason", HIGH,
            "a deletion, or a change of a critical type of entity, for which no reason is recorded",
            "A regulated record may be changed or deleted, but the reason has to be documented.",
            (_REASON, _TRAIL),
            (
                Threshold("actions", "Actions that delete", _DELETIONS),
                Threshold(
                    "types", "Critical types of entity",
                    ("protocol", "method", "specification", "organization", "member", "role", "api_key"),
                ),
            ),
        ),
        Rule(
            "failed_series", "Denied or failed attempts in series", MEDIUM,
            "many acts of one actor within a short time that were denied or failed",
            "Somebody may be trying passwords, or what they are not allowed to do. A success right after is the "
            "worst sign; but for a view or search, since who was denied one page may well open another.",
            (_ATTEMPTS, _ACCESS, _ENTRY),
            (
                Threshold("acts", "Attempts, at least", 5, "acts", least=2),
                Threshold("minutes", "within", 10, "minutes", most=10_080),
            ),
        ),
        Rule(
            "future_time", "Times in the future", MEDIUM,
            "an act that is said to have occurred after it was recorded",
            "No act is recorded before it happens: a clock is wrong, or the time was made up.",
            (_AUDIT_TRAIL, _CLOCKS, _CONTEMPORANEOUS),
            (Threshold("minutes", "Ahead by more than", 5, "minutes", least=0, most=10_080),),
        ),
        Rule(
            "late_entry", "Late entries", MEDIUM,
            "an act that was recorded long after it occurred",
            "What is written down from memory or from paper days later is not contemporaneous, and needs its original. "
            "Views and searches, which are gathered before they are recorded, are left aside.",
            (_AT_ONCE, _TRANSACTIONS, _CONTEMPORANEOUS),
            (Threshold("hours", "Recorded later by more than", 24, "hours", most=87_600),),
        ),
        Rule(
            "off_hours", "Acts outside working hours", MEDIUM,
            "acts of people at night, or on days on which nobody works, by the organization's clocks",
            "Work that nobody sees is where data is most easily falsified, and a stolen account is most easily used. "
            "Views and searches alter nothing: they are counted by themselves, and many of them are a hint of low "
            "severity.",
            (_AUDIT_TRAIL, _ACCESS, _WHO_WHEN),
            (
                Threshold("begins", "Work begins", "06:00"),
                Threshold("ends", "Work ends", "20:00"),
                Threshold("days", "Working days", DAYS[:5], choices=DAYS),
                Threshold("acts", "Acts in one night or day off, at least", 3, "acts"),
                Threshold("looks", "Views and searches then, at least", 50, "acts"),
            ),
        ),
        Rule(
            "first_address", "A person's first use of an address", MEDIUM,
            "an act of somebody long known here from a network address that they never used before",
            "An account that is used from elsewhere may be used by somebody else.",
            (_DEVICES, _ATTEMPTS, _ATTRIBUTABLE),
            (Threshold("known", "Known after", 50, "earlier acts"),),
        ),
        Rule(
            "machine_pattern", "Machine credentials outside their pattern", MEDIUM,
            "a machine that acts in a way, from an address or through a credential that it never did before, or far "
            "more often than usual",
            "A key that is used in another way may be in other hands, and nobody signs in to it.",
            (_DEVICES, _ACCESS, _ATTRIBUTABLE),
            (
                Threshold("known", "Known after", 100, "earlier acts"),
                Threshold("times", "More often than usual by", 5, "times", least=2, most=1000),
                Threshold("acts", "Acts on such a day, at least", 100, "acts"),
            ),
        ),
        Rule(
            "same_instant", "Bursts that share one time stamp", LOW,
            "several acts of one person that bear the very same time",
            "Nobody acts several times in one microsecond: a script or an import acted under a person's name, or the "
            "times were made up. Views and searches are left aside, since one page may open many things at once.",
            (_TRANSACTIONS, _WHO_WHEN, _ATTRIBUTABLE),
            (Threshold("acts", "Acts with one time, at least", 10, "acts", least=2),),
        ),
        Rule(
            "first_action", "A person's first use of an action", LOW,
            "an action that somebody long known here never used before",
            "What somebody suddenly does may be beyond their role or training, or a right that they got lately. To "
            "view or search for the first time is neither.",
            (_AUTHORITY, _ROLES),
            (Threshold("known", "Known after", 200, "earlier acts"),),
        ),
        Rule(
            "role_change", "Changes of roles and access", LOW,
            "a change of a member, role or key, and a person who acts in a role that they never had before",
            "Who may do what decides what every other record is worth: somebody should know of each change.",
            (_RIGHTS, _AUTHORITY, _ROLES),
            (
                Threshold(
                    "types", "Types of entity that give access",
                    ("member", "user", "role", "permission", "group", "api_key", "credential", "service_account"),
                ),
            ),
        ),
    )
}  # fmt: skip
"""All rules by name, the most severe first."""
