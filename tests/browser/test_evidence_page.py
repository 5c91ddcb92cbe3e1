"""report.html of an evidence package, from a file: address: what it says agrees with verify.py, and it shows it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from flasktrack.export import verify_package
from tests.export.alterations import CASES
from tests.export.packages import Lab

_CHECK = """async ([packages, keys]) => {
  const trusted = await readKeys(keys), answers = [];
  for (const text of packages) {
    const {result} = await checkPackage(Uint8Array.fromBase64(text), trusted);
    const {findings, status, records, unchecked} = result;
    answers.push({findings, status, records, unchecked});
  }
  return JSON.stringify(answers);
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


def report(lab: Lab, folder: Path, change: Any = None) -> str:
    """The address of a package's report.html, unpacked; `change` alters its text."""
    text = lab.package().files["report.html"].decode()
    file = folder / "report.html"
    file.write_text(text if change is None else change(text), newline="")
    return file.as_uri()


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    page.wait_for_selector('body[data-state="done"]')
    return page


def status(page: Page, expected: str) -> None:
    expect(page.locator("body")).to_have_attribute("data-status", expected)


def test_the_page_and_verify_py_say_the_same_of_every_package(lab: Lab, page: Page, tmp_path: Path) -> None:
    packages = [case.alter(lab) for case in CASES]
    opened(page, report(lab, tmp_path))
    encoded = [base64.b64encode(data).decode() for data in packages]
    answers = json.loads(page.evaluate(_CHECK, [encoded, "\n".join(lab.vkeys)]))
    for case, data, answer in zip(CASES, packages, answers, strict=True):
        result = verify_package.check_package(io.BytesIO(data), lab.keys)
        expected = verify_package.as_json(result)
        assert answer == {name: expected[name] for name in ("findings", "status", "records", "unchecked")}, case.name


def test_it_proves_nothing_without_a_key_the_records_with_one_and_all_with_the_package(
    lab: Lab, page: Page, tmp_path: Path
) -> None:
    opened(page, report(lab, tmp_path))
    status(page, "not_checked")
    expect(page.locator("#verdict")).to_contain_text("whoever wrote this page may have made it all up")
    expect(page.locator("#records tbody")).to_have_count(12)
    expect(page.locator("#records")).to_contain_text("agrees, not proved")
    page.fill("#keys", "not a key")
    page.click("#check")
    expect(page.locator("#key_problem")).to_have_text("Line 1 of the keys is no vkey.")
    page.fill("#keys", "\n".join(lab.vkeys))
    page.click("#check")
    expect(page.locator("#word")).to_contain_text("Records verified, manifest not checked")
    status(page, "not_checked")
    note = tmp_path / "manifest.note"
    note.write_bytes(lab.package().files["manifest.note"])
    page.set_input_files("#package", note)
    status(page, "verified")
    expect(page.locator("#unchecked")).to_contain_text("records.csv, report.html, verify.py: not checked")
    whole = tmp_path / "package.zip"
    whole.write_bytes(lab.package().zip())
    page.set_input_files("#package", whole)
    status(page, "verified")
    expect(page.locator("#unchecked li")).to_have_count(0)
    expect(page.locator("#records tbody td.broken")).to_have_count(0)


def test_an_altered_record_is_marked_whether_the_page_or_the_package_was_altered(
    lab: Lab, page: Page, tmp_path: Path
) -> None:
    opened(page, report(lab, tmp_path, lambda text: text.replace('"action":"update"', '"action":"delete"', 1)))
    status(page, "broken")
    expect(page.locator("#findings")).to_have_text(
        "error: Record 1: the header does not give the hash. record_modified"
    )
    expect(page.locator("#records tbody").first).to_contain_text("record_modified")
    expect(page.locator("#records tbody").nth(1)).not_to_contain_text("record_modified")
    altered = tmp_path / "package.zip"
    altered.write_bytes(lab.package().line(3, lambda line: line.update(after=None)).zip())
    page.set_input_files("#package", altered)
    expect(page.locator("#findings")).to_contain_text("records.jsonl is not the file that was exported")
    status(page, "broken")


@pytest.mark.tries_what_is_forbidden
def test_text_of_records_is_text_and_nothing_can_be_fetched(lab: Lab, page: Page, tmp_path: Path) -> None:
    opened(page, report(lab, tmp_path))
    page.get_by_role("button", name="Record 8, details").click()
    row = page.locator("#records tbody").nth(7)
    expect(row).to_contain_text("</script><script>document.title='run'</script>&lt;=1+1")
    assert page.title() == "Evidence package"
    assert page.locator("script").count() == 3
    refused = "fetch('http://127.0.0.1:9/').then(() => 'sent', problem => problem.name)"
    assert page.evaluate(refused) == "TypeError"
    added = """() => new Promise(done => {
      addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'document.title = "run"';
      document.body.append(script);
    })"""
    assert page.evaluate(added) == "script-src-elem"
    assert page.title() == "Evidence package"


@pytest.mark.parametrize(("missing", "left"), [("ML-DSA-44", "verified"), ("Ed25519", "not_checked")])
def test_what_the_browser_can_not_check_is_said_and_not_passed(
    lab: Lab, page: Page, tmp_path: Path, missing: str, left: str
) -> None:
    page.add_init_script(
        "const able = SubtleCrypto.prototype.importKey;"
        "SubtleCrypto.prototype.importKey = function (format, key, scheme, ...more) {"
        f" return scheme === '{missing}' ? Promise.reject(new DOMException('', 'NotSupportedError')) :"
        " able.call(this, format, key, scheme, ...more); };"
    )
    opened(page, report(lab, tmp_path))
    page.fill("#keys", "\n".join(lab.vkeys))
    page.click("#check")
    whole = tmp_path / "package.zip"
    whole.write_bytes(lab.package().zip())
    page.set_input_files("#package", whole)
    expect(page.locator("#unchecked")).to_contain_text(f"The {missing} signature of checkpoint.note was not checked")
    status(page, left)


@pytest.mark.tries_what_is_forbidden
def test_a_page_whose_script_was_altered_runs_nothing(lab: Lab, page: Page, tmp_path: Path) -> None:
    page.goto(report(lab, tmp_path, lambda text: text.replace('"use strict";', 'document.title = "run";', 1)))
    assert page.title() == "Evidence package"
    expect(page.locator("#word")).to_have_text("Not checked")
