"""What people write in the sample lab: specimens' names, reasons, deviations, revisions, settings."""

from __future__ import annotations

from typing import Any, NamedTuple

SPECIMENS = {
    "Tablet extract": "Tablet extract, lot {lot}, tablet {place}",
    "Human plasma": "Plasma, subject {lot}, {hours} h after dose",
    "Drug product": "Drug product, lot {lot}, syringe {place}",
    "Drug substance": "Drug substance, lot {lot}, bag {place}",
}
HOURS_AFTER_DOSE = (0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 24)


def specimen(material: str, lot: str, place: int) -> str:
    """A sample's name as a bench would write it."""
    hours = HOURS_AFTER_DOSE[(place - 1) % len(HOURS_AFTER_DOSE)]
    return SPECIMENS.get(material, material + " {place}").format(lot=lot, place=place, hours=hours)


RELEASE_REASONS = (
    "Results reviewed against raw data",
    "Chromatograms, sequence and audit trail of the run reviewed; no remarks",
    "System suitability met, controls within limits",
    "Reviewed; integration of two peaks discussed with the analyst, no change",
    "Second review after the certificate draft was corrected",
)

DISPOSAL_REASONS = (
    "Retention period over, disposed of as clinical waste",
    "Retention period over; client declined the return",
    "Volume used up, empty tube discarded",
)


class Deviation(NamedTuple):
    """Something that goes wrong now and then: how bad, why, and what is done about it."""

    title: str
    severity: str
    causes: tuple[str, ...]
    remedy: str
    tasks: tuple[str, ...]


DEVIATIONS = (
    Deviation(
        "Refrigerator above 8 \u00b0C for 40 minutes",
        "minor",
        ("Door not closed after restocking", "Door seal worn at the lower hinge"),
        "Door seal replaced; stability data assessed, no impact",
        ("Replace the seal", "Assess stability data of what was stored"),
    ),
    Deviation(
        "Wrong dilution factor entered",
        "major",
        ("1:20 typed for 1:200", "The worksheet does not compare with the protocol"),
        "Worksheet takes the factor from the protocol; a second person initials changes",
        ("Change the worksheet", "Check the last 30 runs for the same slip"),
    ),
    Deviation(
        "Pipette P-117 used past its calibration date",
        "minor",
        ("The reminder goes to a mailbox that nobody reads since spring",),
        "Recalibrated within limits; reminder moved to 30 days before, to the team",
        ("Recalibrate P-117", "List all pipettes due within 60 days"),
    ),
    Deviation(
        "System suitability failed, run repeated",
        "minor",
        ("Column at 1,840 injections; resolution fell below 2.0",),
        "Column exchanged; wash step lengthened",
        ("Exchange the column", "Count injections by column in the run"),
    ),
    Deviation(
        "Sample received without cold chain data",
        "major",
        ("Courier\u2019s logger was switched off at pick-up", "The contract does not ask for a logger"),
        "Courier informed; logger now required by contract",
        ("Write to the courier", "Amend the quality agreement"),
    ),
    Deviation(
        "Two tubes with the same label in one rack",
        "major",
        ("Label printer repeated the last job after a paper jam",),
        "Printer queue is emptied on restart; reception scans each tube twice",
        ("Change the printer\u2019s setting", "Train reception, 4 people"),
    ),
    Deviation(
        "Incubation ended 25 min early",
        "minor",
        ("Timer set by hand at handover",),
        "End time is part of the handover sheet",
        ("Revise the handover sheet",),
    ),
    Deviation(
        "Reference standard used two days after its retest date",
        "major",
        ("Certificate extended on paper only", "Date in the inventory not updated"),
        "Inventory blocks standards past their date; extension is entered by QA",
        ("Block by date in the inventory", "Recalculate three runs with the new factor"),
    ),
    Deviation(
        "Balance check weight not recorded before weighing",
        "minor",
        ("Printer out of paper; check done, not documented",),
        "Balances report electronically",
        ("Connect balances WA-3 and WA-4",),
    ),
    Deviation(
        "Spill in hood 3, three samples lost",
        "major",
        ("Rack too narrow for 15 mL tubes",),
        "Racks exchanged; client informed, replacement samples on their way",
        ("Order racks", "Inform the client in writing"),
    ),
    Deviation(
        "Blank shows a peak at the analyte\u2019s retention time",
        "minor",
        ("Carry-over after a sample above the range",),
        "Two blanks after every sample above 80 % of the range",
        ("Revise the sequence template", "Reinject the affected samples"),
    ),
)

OUT_OF_SPECIFICATION = Deviation(
    "Out of specification: {detail}",
    "major",
    ("Laboratory phase: no error found in weighing, dilution or integration", "Retest in triplicate confirms"),
    "Client informed; sample excluded from the certificate",
    ("Retest by a second analyst", "Send the preliminary report to the client within 3 days"),
)

EXCURSION_CAUSES = (
    "Door left ajar after a rack was taken out",
    "Compressor restarted after a power dip",
    "Defrosting; contents moved to the backup unit meanwhile",
    "Sensor cable loose, reference thermometer in range",
)

APPROVALS = ("Technically correct and complete", "Authorized for use from the next run")

REVISIONS: tuple[tuple[str, str], ...] = (
    (
        "Carry-over seen after high samples (change request CR-011)",
        "Inject two blanks after each sample above 80 % of the range",
    ),
    ("Client audit, observation 3", "Record lot and expiry of every reagent in the run"),
    ("Supplier changed the certificate\u2019s format", "Compare the standard\u2019s lot with the certificate"),
    ("Control charts show drift towards the end of long runs", "Repeat the mid-level control every 20 injections"),
    ("Two-year review; wording only", "Allow samples to reach room temperature, then invert ten times"),
    ("CAPA after the dilution error", "A second person checks dilution factors before the run starts"),
    ("Pharmacopoeia revision, in force from next quarter", "Report results below the quantitation limit as such"),
)

SETTINGS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"session_minutes": 20}, "Unlocked screens found on the safety walk"),
    ({"require_reason": ["delete", "reject", "update"]}, "Client audit asks for a reason on every correction"),
    ({"sign_in": {"second_factor": True, "lock_after": 10, "password_days": 365}}, "Second factor for everybody"),
    ({"notifications": {"deviation": ["qa_lead"], "freezer": ["qa_lead", "lab_manager"]}}, "Alarms missed on leave"),
    ({"retention_years": 15}, "Agreement with a client on 15 years of raw data"),
    ({"working_hours": "06:30-19:00"}, "Early shift during the stability campaign"),
    ({"session_minutes": 25}, "Long plate readings kept signing people out; agreed with QA"),
)

RELEASES = ("4.6.0", "4.6.1", "4.7.0", "4.7.2", "4.8.0", "4.8.1", "4.9.0")
