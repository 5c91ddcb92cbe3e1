// The page: shows what checkPackage and checkFiles found. Texts of records become text nodes, never markup.

const $ = id => document.getElementById(id);
const PAGE = 100; // records that are drawn at once
const MAX_TEXT = 20_000, MAX_FIELDS = 500; // of a section, as it is drawn
const WORDS = {verified: "\u2714 Verified", broken: "\u2718 Broken", not_checked: "\u2013 Not proved yet"};
const COMPLETE = {
  range: "every position of the range is here",
  entity: "the entity's records from its first on, without a gap; that none came after the last one is the exporter's word",
  actor: "the actor's records from its first on, without a gap; that none came after the last one is the exporter's word",
  none: "no claim is made",
};

const about = JSON.parse($("about").textContent);
const state = {keys: null, files: null, zip: null, opened: null, result: null, first: 0, all: false, wide: new Set(), run: 0};

if (about && about.embedded) {
  state.files = new Map([[CHECKPOINT, utf8(about.checkpoint)], [RECORDS, utf8($("lines").textContent)]]);
} else if (about) {
  $("package_help").textContent = "The records are too many to stand in this page: open the ZIP; where your browser can't hold it, use verify.py.";
}
$("lines").textContent = "";

// Elements

function make(tag, content, attributes = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const part of [content].flat()) if (part !== null && part !== undefined) element.append(part);
  return element;
}

// What a browser would not draw, or would draw in another order, as an escape
const visible = text => String(text).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, char => `\\u{${char.codePointAt(0).toString(16)}}`);
const short = text => text.length > MAX_TEXT ? `${visible(text.slice(0, MAX_TEXT))} … (all of it is in ${RECORDS})` : visible(text);

function rows(table, pairs) {
  table.tBodies[0].replaceChildren(...pairs.filter(Boolean).map(cells => make("tr", cells.map(cell => cell instanceof Node ? cell : make("td", cell)))));
}

// Checking

async function run() {
  const turn = ++state.run;
  const progress = async (done, total) => {
    if (turn !== state.run) throw new Stopped();
    $("progress").value = done / total;
    await new Promise(resume => setTimeout(resume));
  };
  if (!state.files && !state.zip) return;
  document.body.dataset.state = "checking";
  $("progress").hidden = false;
  $("package_problem").textContent = "";
  try {
    let result, files = state.files;
    if (state.zip) {
      ({result, files} = await checkPackage(state.zip, state.keys, progress));
      const carried = state.files?.get(RECORDS), opened = files?.get(RECORDS);
      if (carried && opened && (carried.length !== opened.length || carried.some((byte, at) => byte !== opened[at])))
        result.unchecked.push("This page carries other records than the package that was opened. What is shown now is the package's.");
    }
    else {
      result = await checkFiles(new Result(), files, state.keys, progress, about.manifest);
      withoutPackage(result, files);
    }
    if (turn !== state.run) return;
    Object.assign(state, {result, shownFiles: files, first: 0, all: false, wide: new Set()});
    draw();
  } catch (problem) {
    if (problem instanceof Stopped) return;
    state.result = null;
    verdict("not_checked", problem instanceof TooLarge || problem instanceof RangeError
      ? "This package is too large for a browser. Check it with verify.py."
      : `The check could not be done (${problem.name}: ${problem.message}). Use a current browser, or verify.py.`);
    for (const id of ["findings_section", "facts_section", "records_section"]) $(id).hidden = true;
    rows($("checks"), []);
    $("unchecked").replaceChildren();
  }
  $("progress").hidden = true;
  document.body.dataset.state = "done";
}

class Stopped extends Error {}

// What can't be told where only this page, or it and the manifest, is at hand
function withoutPackage(result, files) {
  if (!files.has(MANIFEST)) {
    result.unchecked.push("The manifest was not checked: who exported, when, by which filter, and what is said to be complete or withheld, is so far this page's word. Open the package (ZIP).");
    return;
  }
  if (!result.manifest || result.manifest === about.manifest) return;
  const {files: listed, ...said} = result.manifest;
  if (canonical(said) !== canonical(about.manifest))
    result.add("manifest_invalid", "The manifest that was opened is not the one of this page.");
  const left = Object.keys(listed).filter(name => !files.has(name));
  if (left.length) result.unchecked.push(`${left.join(", ")}: not checked. Open the package (ZIP).`);
}

// Drawing

function verdict(status, answer) {
  $("verdict").className = `verdict ${status}`;
  $("word").textContent = WORDS[status];
  $("answer").textContent = answer;
  document.body.dataset.status = status;
}

function draw() {
  const {result} = state;
  verdict(result.status, answer(result));
  if (result.status === "not_checked" && result.signed.has(CHECKPOINT)) {
    $("word").textContent = "\u2013 Records verified, manifest not checked";
  }
  $("title").textContent = visible(result.manifest?.organization_id ?? "A package that can't be read");
  $("said").textContent = !state.zip && about ? visible(about.said) : result.manifest ? filterText(result.manifest) : "";
  $("findings_section").hidden = !result.findings.length;
  $("findings").replaceChildren(...result.findings.slice(0, 500).map(finding =>
    make("li", [make("b", `${finding.severity}: `, {class: finding.severity === "error" ? "broken" : "not_checked"}),
                visible(finding.detail), " ", make("span", finding.code, {class: "code quiet"})])));
  if (result.findings.length > 500) $("findings").append(make("li", `and ${number(result.findings.length - 500)} more`));
  drawChecks(result);
  drawFacts(result);
  drawRecords();
  $("footer").textContent = `Checked in this browser at ${new Date().toISOString().replace("T", " ").slice(0, 19)} UTC` +
    (state.opened ? `: ${visible(state.opened)}.` : ": what this page carries.");
}

function answer(result) {
  const errors = result.findings.filter(finding => finding.severity === "error").length;
  const records = `${number(result.records)} record${result.records === 1 ? "" : "s"}`;
  if (errors) return `${errors === 1 ? "1 error was" : `${number(errors)} errors were`} found. Don't rely on this package; see the findings.`;
  const warnings = result.findings.filter(finding => finding.severity === "warning").length;
  const look = warnings ? ` There ${warnings === 1 ? "is a warning" : `are ${number(warnings)} warnings`} to look at.` : "";
  const agree = `${records}: every header gives its hash, every section its digest, every proof leads to the checkpoint`;
  if (result.signed.has(CHECKPOINT)) {
    const manifest = result.signed.has(MANIFEST) ? " The manifest is signed by such a key, too, and every file is the one that was exported." : " The manifest was not checked: open the package.";
    return `${agree}, which a key that you gave has signed.${manifest}${look}`;
  }
  return `${agree}. But no signature was checked, so whoever wrote this page may have made it all up. Give the key that you trust.`;
}

function drawChecks(result) {
  const has = (...codes) => result.findings.some(finding => codes.includes(finding.code));
  const {held, manifest} = result;
  const packaged = Boolean(state.shownFiles?.has(MANIFEST));
  const line = (what, good, bad, scope) => [what,
    make("td", bad ? "\u2718 does not hold" : good ? "\u2714 holds" : "\u2013 not checked", {class: bad ? "broken" : good ? "verified" : "not_checked"}), scope];
  const counted = (what, count, noun, ...codes) => line(what, count, has(...codes), count ? `${number(count)} ${noun}` : `no ${noun}`);
  rows($("checks"), [
    line("The package is whole", Boolean(state.zip), has("package_invalid", "record_malformed"), state.zip ? "a ZIP that unpacks in one way" : "this page alone"),
    line("Manifest", result.signed.has(MANIFEST), has("manifest_invalid"), "signed by a key that you gave; says what is here"),
    line("Files", packaged && state.zip, has("file_modified", "table_differs"), state.zip ? `${number(state.shownFiles?.size ?? 0)} files: the SHA-256 of each is in the manifest; records.csv says the same as records.jsonl` : "only records and checkpoint are at hand"),
    line("Checkpoint", result.signed.has(CHECKPOINT), has("checkpoint_invalid"), `signed by a key that you gave${manifest ? `; covers positions 1 to ${number(manifest.tree_size)}` : ""}`),
    counted("Hashes of headers", held.headers, "headers", "record_modified"),
    counted("Digests of sections", held.sections, "sections", "payload_modified"),
    counted("Inclusion proofs", held.proofs, "proofs", "proof_invalid"),
    counted("Links between neighbours", held.links, "pairs that stand side by side", "chain_broken", "record_reordered"),
    manifest && line("Completeness", manifest.complete !== "none", has("completeness_false"), COMPLETE[manifest.complete]),
  ]);
  $("unchecked").replaceChildren(...result.unchecked.map(left => make("li", visible(left))));
}

const filterText = manifest => Object.entries(manifest.filter).map(([name, values]) => `${name}: ${values.join(", ")}`).map(visible).join("; ") || "no filter";

function drawFacts(result) {
  const {manifest} = result;
  $("facts_section").hidden = !manifest;
  if (!manifest) return;
  rows($("facts"), [
    ["Origin", visible(manifest.origin)],
    ["Exported", `${visible(manifest.created_at)} by ${visible(manifest.created_by)}`],
    ["Filter", filterText(manifest)],
    ["Records", `${number(manifest.records)}, positions ${number(manifest.first_seq)} to ${number(manifest.last_seq)}`],
    ["Withheld", manifest.withheld.join(", ") || "nothing"],
    ["Claimed to be complete", COMPLETE[manifest.complete]],
  ]);
}

function drawRecords() {
  const {result} = state;
  const bytes = state.shownFiles?.get(RECORDS);
  $("records_section").hidden = !bytes || !result.places.length;
  if ($("records_section").hidden) return;
  const chosen = $("faulty").checked ? result.places.filter(([, , , codes]) => codes.length) : result.places;
  const part = state.all ? chosen : chosen.slice(state.first, state.first + PAGE);
  for (const body of [...$("records").tBodies]) body.remove();
  $("records").append(...part.map(place => recordRows(bytes, place)));
  $("records_title").textContent = `Records (${number(result.records)})`;
  $("shown").textContent = part.length === chosen.length ? `all ${number(chosen.length)}` : `${number(state.first + 1)} to ${number(state.first + part.length)} of ${number(chosen.length)}`;
  $("earlier").disabled = state.all || state.first === 0;
  $("later").disabled = state.all || state.first + PAGE >= chosen.length;
  $("everything").disabled = part.length === chosen.length;
}

function recordRows(bytes, [start, end, seq, codes]) {
  const record = parse(decode(bytes.subarray(start, end)));
  const {header} = record;
  const named = ({type, id, name}) => visible(name === null ? `${type}:${id}` : `${name} (${type}:${id})`);
  const opener = make("button", number(seq), {type: "button", class: "open", "aria-expanded": "false", "aria-label": `Record ${number(seq)}, details`});
  const body = make("tbody", make("tr", [
    make("td", opener, {class: "number"}), make("td", visible(header.occurred_at).replace("T", " ").replace(/(\.\d{3})\d*Z$/, "$1")),
    make("td", named(header.actor)), make("td", visible(header.action)), make("td", named(header.entity)),
    make("td", visible(header.outcome), {class: `outcome-${header.outcome}`.replace(/[^a-z-]/g, "")}), mark(record, codes),
  ]));
  const toggle = () => {
    const open = body.children.length > 1;
    opener.setAttribute("aria-expanded", String(!open));
    if (open) body.lastChild.remove();
    else body.append(make("tr", make("td", details(record), {colspan: "7"}), {class: "detail"}));
  };
  opener.addEventListener("click", toggle);
  if ($("details").checked) toggle();
  return body;
}

// A record's state: what is wrong with it, or how far its soundness is proved
function mark(record, codes) {
  if (codes.length) return make("td", `\u2718 ${codes.join(", ")}`, {class: "broken"});
  const withheld = SECTIONS.filter(name => record[name] === null && record.header[name] !== null);
  const proved = state.result.signed.has(CHECKPOINT) && !state.result.findings.some(finding => finding.code === "checkpoint_invalid");
  const word = make("span", proved ? "\u2714 verified" : "\u2013 agrees, not proved", {class: proved ? "verified" : "not_checked"});
  return make("td", withheld.length ? [word, make("span", `; ${withheld.join(", ")} not shown`, {class: "quiet"})] : word);
}

function details(record) {
  const {header} = record;
  const facts = [
    ["Reason", header.reason], ["Role then", header.actor.role], ["On behalf of", header.on_behalf_of],
    ["Credential", header.credential_id], ["Related", header.related.map(({type, id}) => `${type}:${id}`).join(", ")],
    ["Recorded", header.recorded_at], ["Record id", header.record_id], ["Correlation", header.correlation_id],
    ["Ordinals", `record ${number(header.actor_seq)} of this actor, ${number(header.entity_seq)} of this entity`],
    ["Hash", record.hash], ["Hash of the record before", header.prev],
  ].filter(([, value]) => value !== null && value !== "");
  return [
    changes(record),
    inner("About the act", facts.map(([name, value]) => make("tr", [make("td", name), make("td", short(value))]))),
    record.context && inner("Request context", fields(record.context.body).map(([name, value]) => make("tr", [make("td", short(name)), make("td", short(value))]))),
  ];
}

function changes(record) {
  const {before, after, header} = record;
  if (before === null && after === null) {
    const gone = ["before", "after"].filter(name => header[name] !== null);
    return gone.length ? make("p", `Not in the package: ${gone.join(" and ")}. The digests are in the header.`, {class: "quiet"}) : null;
  }
  const [old, now] = [before, after].map(section => new Map(section ? fields(section.body) : []));
  const names = [...new Set([...old.keys(), ...now.keys()])];
  const lines = names.slice(0, MAX_FIELDS).map(name => make("tr",
    [name, old.get(name) ?? "", now.get(name) ?? ""].map(text => make("td", short(text))),
    {class: before && after && old.get(name) !== now.get(name) ? "changed" : "same"}));
  if (names.length > MAX_FIELDS) lines.push(make("tr", make("td", `and ${number(names.length - MAX_FIELDS)} more fields, in ${RECORDS}`)));
  const told = name => record[name] ? name : header[name] === null ? `${name} (none)` : `${name} (not shown)`;
  return inner("What changed", lines, ["Field", told("before"), told("after")]);
}

function inner(caption, lines, heads = null) {
  const table = make("table", make("caption", caption), {class: "inner"});
  if (heads) table.append(make("thead", make("tr", heads.map(head => make("th", head)))));
  table.append(make("tbody", lines));
  return table;
}

// A body's values by path, as texts; a body that is no JSON, as it is
function fields(body) {
  let value;
  try { value = JSON.parse(body); } catch { return [["", body]]; }
  const found = [];
  const walk = (path, item, depth) => {
    if (item !== null && typeof item === "object" && !Array.isArray(item) && Object.keys(item).length && depth < 20)
      for (const key of Object.keys(item)) walk(path ? `${path}.${key}` : key, item[key], depth + 1);
    else found.push([path, typeof item === "string" ? item : JSON.stringify(item)]);
  };
  walk("", value, 0);
  return found;
}

// What the reader does

async function takeKeys() {
  const text = $("keys").value;
  $("key_problem").textContent = "";
  try {
    state.keys = text.trim() ? await readKeys(text) : null;
  } catch (problem) {
    $("key_problem").textContent = problem.message;
    return;
  }
  await run();
}

$("check").addEventListener("click", takeKeys);
$("key_file").addEventListener("change", async event => {
  const [file] = event.target.files;
  if (!file) return;
  $("keys").value = await file.text();
  await takeKeys();
});
$("package").addEventListener("change", async event => {
  const [file] = event.target.files;
  if (!file) return;
  let bytes;
  try { bytes = new Uint8Array(await file.arrayBuffer()); } catch {
    $("package_problem").textContent = "The file can't be read, or is too large for a browser: use verify.py.";
    return;
  }
  if (file.name.endsWith(".note")) {
    if (!about || !about.embedded) {
      $("package_problem").textContent = "A manifest alone says little here: open the ZIP.";
      return;
    }
    state.zip = null;
    state.files.set(MANIFEST, bytes);
  } else state.zip = bytes;
  state.opened = file.name;
  await run();
});
$("earlier").addEventListener("click", () => { state.first -= PAGE; drawRecords(); });
$("later").addEventListener("click", () => { state.first += PAGE; drawRecords(); });
$("everything").addEventListener("click", () => { state.all = true; drawRecords(); });
$("details").addEventListener("change", drawRecords);
$("faulty").addEventListener("change", () => { state.first = 0; drawRecords(); });
$("print").addEventListener("click", () => window.print());

run();
