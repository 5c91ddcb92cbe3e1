"""Errors that are meant for the user: each says what happened and what to do.

Everything that FlaskTrack raises on purpose derives from `FlaskTrackError`. The command line prints
`str(error)` as its one line and exits with 2; a page shows the same sentence.
"""

from __future__ import annotations


class FlaskTrackError(Exception):
    """What happened (`what`) and what the user can do about it (`advice`)."""

    def __init__(self, what: str, advice: str = "") -> None:
        self.what = what
        self.advice = advice
        super().__init__(f"{what} {advice}".strip())


class InvalidRecord(FlaskTrackError):
    """An event that spec section 1 refuses: `field` names the field, `index` the event's place in its batch."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        self.index = 0
        super().__init__(f"{field}: {problem}.", "Nothing was written.")


class InvalidOrganization(FlaskTrackError):
    """An organization id or time zone that can't be used."""


class UnknownOrganization(FlaskTrackError):
    """The database holds no such organization."""


class EmptyDatabase(UnknownOrganization):
    """The database holds no organization at all yet."""


class NotPermitted(FlaskTrackError):
    """Something that the roles of whoever asks do not let them do; nothing was done."""


class MemberRefused(FlaskTrackError):
    """A change of a member that was not made; nothing was written."""


class RecordConflict(FlaskTrackError):
    """A record_id that already stands for a record with other content; `index` is the event's place in its batch."""

    def __init__(self, what: str, advice: str = "", *, index: int = 0) -> None:
        self.index = index
        super().__init__(what, advice)


class ChainBroken(FlaskTrackError):
    """The newest record and `chain_head` disagree, so nothing may be appended."""


class DatabaseError(FlaskTrackError):
    """The database can't be reached, read or written."""


class DatabaseReadOnly(DatabaseError):
    """The database can be read here, and not written: a copy, a replica, or a user without the right to."""


class TookTooLong(DatabaseError):
    """A question that was not answered within the time that it had; it was given up."""


class SchemaError(DatabaseError):
    """The database is not FlaskTrack's, or its schema is of another version."""


class ImportFailed(FlaskTrackError):
    """A file that can't be imported; `line` and `field` are given where they are known."""

    def __init__(self, what: str, advice: str = "", *, line: int | None = None, field: str | None = None) -> None:
        self.line = line
        self.field = field
        super().__init__(what, advice)


class NoScope(FlaskTrackError):
    """An actor or a reason was named where no request or job is going on."""


class NoActor(FlaskTrackError):
    """An audited change that nobody is known to make; nothing was written."""


class CaptureRefused(FlaskTrackError):
    """An audited change that can't be recorded as it is; nothing was written."""


class InvalidFilter(FlaskTrackError):
    """A filter (on the command line or in a page's address) that makes no sense."""


class SealRefused(FlaskTrackError):
    """A checkpoint that was not signed, since what it would vouch for is not sound."""


class NotIntact(SealRefused):
    """A checkpoint that was not signed, since a verification of what it would cover found errors."""


class ScheduleError(FlaskTrackError):
    """A schedule that can't go on."""


class ClusterError(FlaskTrackError):
    """A cluster that can't be reached, or used."""


class ErasureRefused(FlaskTrackError):
    """Sections that can't be erased; nothing was."""


class ExportFailed(FlaskTrackError):
    """An export that could not be written; nothing half-written is left behind."""


class Unsealed(ExportFailed):
    """Evidence of records that no checkpoint covers yet: seal first."""


class SettingsError(FlaskTrackError):
    """An environment variable or option with an unusable value."""


class SettingRefused(FlaskTrackError):
    """A change of an organization's setting that was not made; nothing was written."""


class ServeError(FlaskTrackError):
    """The HTTP interface can't be started as asked."""


class InvalidApiKey(FlaskTrackError):
    """Text that is no key of this database, or a key's with another secret."""


class ApiKeyNotInForce(FlaskTrackError):
    """A key that was revoked, has expired, or is not what its record says."""


class ApiKeyError(FlaskTrackError):
    """A key or service account that can't be made or changed as asked; the caller must roll back."""


class AccountRefused(FlaskTrackError):
    """An account that can't be made or changed as asked for; nothing was written."""


class PasswordRefused(FlaskTrackError):
    """A new password that is too easy to guess, or can't be used."""


class ClaimRefused(FlaskTrackError):
    """What an identity provider says of somebody, by which they can't be signed in."""


class SignInBusy(FlaskTrackError):
    """Too many people are signing in at this moment."""


class InvalidNote(FlaskTrackError):
    """A signed note or checkpoint that is not well formed, or that no trusted key has signed rightly."""


class InvalidKey(FlaskTrackError):
    """A key or vkey that can't be used."""


class KeyringError(FlaskTrackError):
    """The key directory, or a key in it, can't be used; neither key nor passphrase is named."""


class AnchorError(FlaskTrackError):
    """The anchor directory can't be read or written, or an anchor of that size says something else."""


class CheckpointConflict(FlaskTrackError):
    """Another checkpoint of that size is stored already; it was left as it is."""


class TreeIncomplete(FlaskTrackError):
    """Records are absent, or hold no hash, so that no root or proof can be computed from them."""


class InvalidRequest(FlaskTrackError):
    """A request to a witness that is not well formed."""


class WitnessError(FlaskTrackError):
    """A witness's directory, or what it is told to trust, can't be used; or no witness is known here."""


class CosignRefused(FlaskTrackError):
    """A checkpoint that a witness did not cosign. `status` is C2SP tlog-witness's, `size` what the witness has seen.

    `unsound` where what the log shows can't be right, and not only the request is made wrongly.
    """

    def __init__(self, what: str, advice: str, *, status: int, size: int = 0, unsound: bool = False) -> None:
        self.status = status
        self.size = size
        self.unsound = unsound
        super().__init__(what, advice)


class FileFailed(FlaskTrackError):
    """A file that a command is to read or write, and can't."""


class TimestampError(FlaskTrackError):
    """A time stamp that could not be had, or is not what it should be."""
