"use strict";
// Checks an evidence package. The same rules, in the same order and words, as verify.py, which explains them.

const FORMAT = "flasktrack-evidence/1";
const [MANIFEST, CHECKPOINT, RECORDS, TABLE] = ["manifest.note", "checkpoint.note", "records.jsonl", "records.csv"];
const SECTIONS = ["before", "after", "context"];
const SEVERITY = {payload_erased: "info", payload_absent: "warning"}; // all other findings are errors
const TYPES = new Map([[1, ["Ed25519", 32]], [4, ["Ed25519 of a witness", 32]], [6, ["ML-DSA-44", 1312]]]);

const MAX_NOTE = 1024 * 1024;
const MAX_LINE = 32 * 1024 * 1024;
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const MAX_FILES = 100;
const UNPACKED = 1024 ** 3, TIMES = 100;
const MAX_HERE = 768 * 1024 * 1024; // bytes that a browser is asked to keep

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,99}$/;
const FILTER_NAME = /^[a-z_]{1,40}$/;
const HASH = /^[0-9a-f]{64}$/;
const CONTROLS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const SIGNATURE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+\/]+={0,2})$/;
const TREE_SIZE = /^(?:0|[1-9][0-9]{0,15})$/;
const POSITIONS = /^([1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?$/;

class Malformed extends Error {} // something is not written as the format says
class TooLarge extends Error {}  // for a browser

const number = n => n.toLocaleString("en-US");

class Result {
  findings = [];
  unchecked = [];
  signed = new Set(); // notes under which a trusted key's signature was verified
  records = 0;
  manifest = null;
  places = []; // of each record in the bytes of records.jsonl: [start, end, seq, codes of its findings]
  held = {headers: 0, sections: 0, proofs: 0, links: 0}; // how many of each were checked

  get status() {
    if (this.findings.some(finding => finding.severity === "error")) return "broken";
    return this.signed.has(MANIFEST) && this.signed.has(CHECKPOINT) ? "verified" : "not_checked";
  }

  add(code, problem, seq = null, section = null) {
    const last = this.findings.findLast(one => one.code === code && one.section === section && one.problem === problem);
    if (seq !== null && last && last.seq_end !== null && seq === last.seq_end + 1) last.seq_end = seq;
    else this.findings.push(new Finding(code, seq, seq, section, problem));
  }
}

class Finding {
  constructor(code, seq, seq_end, section, problem) {
    Object.assign(this, {code, seq, seq_end, section, problem});
  }
  get severity() { return SEVERITY[this.code] ?? "error"; }
  get detail() {
    if (this.seq === null) return this.problem;
    const several = this.seq !== this.seq_end;
    return (several ? `Records ${number(this.seq)} to ${number(this.seq_end)}` : `Record ${number(this.seq)}`) +
      `: ${this.problem}`;
  }
  toJSON() {
    const {code, severity, seq, seq_end, section, detail} = this;
    return {code, severity, seq, seq_end, section, detail};
  }
}

// Bytes and text

const ENCODER = new TextEncoder();
const utf8 = text => ENCODER.encode(text);
const DECODER = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});

function decode(bytes) {
  try { return DECODER.decode(bytes); } catch { throw new Malformed("it is no text in UTF-8"); }
}

function join(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

const HEX = Array.from({length: 256}, (_, byte) => byte.toString(16).padStart(2, "0"));
const hex = bytes => Array.from(bytes, byte => HEX[byte]).join("");
const unhex = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));
const sha256 = async bytes => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const uint64 = value => { const view = new DataView(new ArrayBuffer(8)); view.setBigUint64(0, BigInt(value)); return new Uint8Array(view.buffer); };

function unbase64(text) {
  let binary = "";
  try { binary = atob(text); } catch { /* told below */ }
  if (btoa(binary) !== text) throw new Malformed("it is no base64");
  return Uint8Array.from(binary, char => char.charCodeAt(0));
}

// Keys and notes

async function readKeys(text) {
  const keys = [];
  for (const [at, line] of text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/).entries()) {
    const vkey = line.trim();
    if (!vkey || vkey.startsWith("#")) continue;
    try {
      const [, name, id, encoded] = /^([^\s+]{1,255})\+([0-9a-f]{8})\+(.*)$/.exec(vkey);
      const material = unbase64(encoded);
      const key = {name, id, type: material[0], public: material.slice(1)};
      const made = await sha256(join(utf8(name), utf8("\n"), material));
      if (utf8(name).length > 255 || key.public.length !== TYPES.get(key.type)[1] || hex(made.slice(0, 4)) !== id)
        throw new Malformed();
      keys.push(key);
    } catch { throw new Malformed(`Line ${at + 1} of the keys is no vkey.`); }
  }
  return keys;
}

// Whether the key made this signature of a note's text; null where this browser can't tell.
async function verifies(key, text, signature) {
  let signed = signature, message = utf8(text);
  if (key.type !== 1) { // the signature begins with its time
    const time = signature.slice(0, 8);
    signed = signature.slice(8);
    if (time.length < 8 || time[0] > 127) return false;
    if (key.type === 4) {
      message = utf8(`cosignature/v1\ntime ${new DataView(time.buffer).getBigUint64(0)}\n${text}`);
    } else {
      const checkpoint = readCheckpoint(text);
      const [name, origin] = [utf8(key.name), utf8(checkpoint.origin)];
      message = join(utf8("subtree/v1\n\0"), [name.length], name, time, [origin.length], origin, uint64(0),
                     uint64(checkpoint.size), checkpoint.root);
    }
  }
  const [format, scheme] = key.type === 6 ? ["raw-public", "ML-DSA-44"] : ["raw", "Ed25519"];
  let imported;
  try {
    imported = await crypto.subtle.importKey(format, key.public, scheme, false, ["verify"]);
  } catch (problem) {
    return problem.name === "DataError" ? false : null;
  }
  return crypto.subtle.verify(scheme, imported, signed, message);
}

function readNote(bytes) {
  if (bytes.length > MAX_NOTE) throw new Malformed("it is no signed note");
  const stored = decode(bytes);
  const blank = stored.lastIndexOf("\n\n");
  const lines = stored.slice(blank + 2, -1).split("\n");
  if (CONTROLS.test(stored) || blank < 0 || !stored.endsWith("\n") || stored.length < blank + 3 || lines.length > 64)
    throw new Malformed("it is no signed note");
  const signatures = lines.map(line => {
    const match = SIGNATURE.exec(line);
    const blob = match ? unbase64(match[2]) : [];
    if (blob.length < 5) throw new Malformed("it is no signed note");
    return {name: match[1], id: hex(blob.slice(0, 4)), signature: blob.slice(4)};
  });
  return {text: stored.slice(0, blank + 1), signatures};
}

function readCheckpoint(text) {
  const lines = text.split("\n");
  const length = utf8(lines[0]).length;
  if (lines.length !== 4 || lines[3] || !length || length > 255 || !TREE_SIZE.test(lines[1]))
    throw new Malformed("it is no checkpoint");
  const root = unbase64(lines[2]);
  if (root.length !== 32 || Number(lines[1]) > MAX_INTEGER) throw new Malformed("it is no checkpoint");
  return {origin: lines[0], size: Number(lines[1]), root};
}

async function checkSignatures(result, file, origin, note, keys) {
  if (keys === null) {
    result.unchecked.push(`The signatures of ${file} were not checked: no key was given.`);
    return "";
  }
  let signed = false, left = false;
  for (const {name, id, signature} of note.signatures) {
    const key = keys.findLast(one => one.name === name && one.id === id &&
                              (file !== MANIFEST || (one.name === origin && one.type === 1)));
    if (!key) continue;
    const good = await verifies(key, note.text, signature);
    if (good === false) return `The signature of ${file} by the trusted key ${name} (${id}) is wrong.`;
    if (good === null) {
      left = true;
      result.unchecked.push(`The ${TYPES.get(key.type)[0]} signature of ${file} was not checked: this browser can't.`);
    } else if (name === origin && key.type !== 4) signed = true;
  }
  if (signed) result.signed.add(file);
  return signed || left ? "" : `No trusted key has signed ${file}.`;
}

// JSON of which there is one reading: no key twice, no numbers but integers of 0 to 2^53 - 1, no half characters

function parse(text) {
  let at = 0;
  const fail = () => { throw new Malformed("it is not the JSON that it should be"); };
  const skip = () => { while (text[at] === " " || text[at] === "\n" || text[at] === "\r" || text[at] === "\t") at++; };
  const next = char => { skip(); if (text[at] !== char) return false; at++; return true; };
  const string = () => {
    let end = at, escapes;
    do {
      end = text.indexOf('"', end + 1);
      if (end < 0) fail();
      for (escapes = 0; text[end - 1 - escapes] === "\\"; escapes++);
    } while (escapes % 2);
    let value;
    try { value = JSON.parse(text.slice(at, end + 1)); } catch { fail(); }
    at = end + 1;
    return isWellFormed(value) ? value : fail();
  };
  const value = depth => {
    if (depth > 64) fail();
    skip();
    if (text[at] === '"') return string();
    if (next("{")) {
      const found = Object.create(null);
      if (next("}")) return found;
      do {
        skip();
        const key = text[at] === '"' ? string() : fail();
        if (key in found || !next(":")) fail();
        found[key] = value(depth + 1);
      } while (next(","));
      return next("}") ? found : fail();
    }
    if (next("[")) {
      const found = [];
      if (next("]")) return found;
      do found.push(value(depth + 1)); while (next(","));
      return next("]") ? found : fail();
    }
    for (const [word, meant] of [["true", true], ["false", false], ["null", null]])
      if (text.startsWith(word, at)) { at += word.length; return meant; }
    const digits = /(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
    digits.lastIndex = at;
    const [found] = digits.exec(text) ?? fail();
    at += found.length;
    return Number(found) <= MAX_INTEGER ? Number(found) : fail();
  };
  const whole = value(0);
  skip();
  return at === text.length ? whole : fail();
}

const isWellFormed = text => !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  const made = Object.create(null);
  for (const key of Object.keys(value).sort()) made[key] = sorted(value[key]);
  return made;
}

const canonical = value => JSON.stringify(sorted(value)); // RFC 8785, for what is in a header

const TEXT = value => typeof value === "string";
const COUNT = value => typeof value === "number";
const LIST = value => Array.isArray(value);
const OBJECT = value => value !== null && typeof value === "object" && !Array.isArray(value);
const MAYBE = value => value === null || TEXT(value);
const SECTION = value => value === null || OBJECT(value);
const isTexts = value => LIST(value) && value.every(TEXT);
const isHash = value => TEXT(value) && HASH.test(value);

function isShaped(value, shape) {
  return OBJECT(value) && Object.keys(value).length === Object.keys(shape).length &&
    Object.entries(shape).every(([name, kind]) => name in value && kind(value[name]));
}

// The manifest

const MANIFEST_SHAPE = {
  format: TEXT, organization_id: TEXT, origin: TEXT, created_at: TEXT, created_by: TEXT, filter: OBJECT,
  withheld: LIST, records: COUNT, first_seq: COUNT, last_seq: COUNT, tree_size: COUNT, complete: TEXT, files: OBJECT,
};

function formatManifest(manifest) {
  const text = JSON.stringify(sorted(manifest), null, 2) + "\n";
  return text.replace(/[\x7f-\uffff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function readManifest(text) {
  const value = parse(text);
  const good = isShaped(value, MANIFEST_SHAPE) && value.format === FORMAT &&
    ["none", "range", "entity", "actor"].includes(value.complete) &&
    value.origin.slice(value.origin.lastIndexOf("/") + 1) === value.organization_id &&
    value.withheld.every(name => SECTIONS.includes(name)) &&
    Object.entries(value.filter).every(([name, values]) => FILTER_NAME.test(name) && isTexts(values)) &&
    Object.entries(value.files).every(([name, digest]) => NAME.test(name) && isHash(digest)) &&
    formatManifest(value) === text;
  if (!good) throw new Malformed("it is no manifest of this format");
  return value;
}

// Records

const LINE = {header: OBJECT, hash: isHash, before: SECTION, after: SECTION, context: SECTION, proof: isTexts};
const HEADER = {
  v: value => value === 1, organization_id: TEXT, seq: COUNT, record_id: TEXT, occurred_at: TEXT, recorded_at: TEXT,
  actor: OBJECT, actor_seq: COUNT, credential_id: MAYBE, on_behalf_of: MAYBE, action: TEXT, outcome: TEXT,
  entity: OBJECT, entity_seq: COUNT, related: LIST, reason: MAYBE, correlation_id: MAYBE, before: MAYBE, after: MAYBE,
  context: MAYBE, prev: isHash,
};

function readLine(bytes, organization) {
  if (bytes.length > MAX_LINE) throw new Malformed("it is too long");
  const value = parse(decode(bytes));
  const header = value?.header;
  const good = isShaped(value, LINE) && isShaped(header, HEADER) &&
    (organization === null || header.organization_id === organization) &&
    Math.min(header.seq, header.actor_seq, header.entity_seq) >= 1 &&
    isShaped(header.actor, {type: TEXT, id: TEXT, name: MAYBE, role: MAYBE}) &&
    isShaped(header.entity, {type: TEXT, id: TEXT, name: MAYBE}) &&
    header.related.every(item => isShaped(item, {type: TEXT, id: TEXT})) &&
    SECTIONS.every(name => (value[name] === null || isShaped(value[name], {salt: TEXT, body: TEXT})) &&
                           (header[name] === null || isHash(header[name])));
  if (!good) throw new Malformed("it is no record");
  return value;
}

const NODES = new Map(); // left and right in hex -> SHA-256(0x01 || left || right): neighbours' proofs share many

async function nodeHash(left, right) {
  const key = left + right;
  let node = NODES.get(key);
  if (node === undefined) {
    node = hex(await sha256(join([1], unhex(key))));
    if (NODES.size > 100_000) NODES.clear();
    NODES.set(key, node);
  }
  return node;
}

async function isIncluded(leaf, index, proof, {size, root}) {
  let [at, last, computed] = [index, size - 1, leaf];
  if (index >= size) return false;
  for (const encoded of proof) {
    let sibling;
    try { sibling = unbase64(encoded); } catch { return false; }
    if (last === 0 || sibling.length !== 32) return false;
    if (at % 2 || at === last) {
      computed = await nodeHash(hex(sibling), computed);
      while (at % 2 === 0 && at) [at, last] = [at / 2, Math.floor(last / 2)];
    } else computed = await nodeHash(computed, hex(sibling));
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && computed === hex(root);
}

async function sectionIsSound(section, digest) {
  let salt;
  try { salt = unbase64(section.salt); } catch { return false; }
  return salt.length === 16 && hex(await sha256(join(salt, utf8(section.body)))) === digest;
}

class Claim {
  constructor(manifest, result) {
    Object.assign(this, {result, kind: manifest.complete, next: 1, first: 0, last: 0, outside: false, whose: null});
    if (this.kind === "none") return;
    const asked = manifest.filter[this.kind === "range" ? "seq" : this.kind] ?? [];
    const match = this.kind === "range" && asked.length === 1 ? POSITIONS.exec(asked[0]) : null;
    if (match) [this.next, this.first, this.last] = [Number(match[1]), Number(match[1]), Number(match[2] ?? match[1])];
    else if (this.kind !== "range" && asked.length === 1 && asked[0].includes(":")) {
      const colon = asked[0].indexOf(":"); // the first one parts type and id
      this.whose = [asked[0].slice(0, colon), asked[0].slice(colon + 1)];
    }
    if (Object.keys(manifest.filter).length !== 1 || !(this.last || this.whose)) {
      this.kind = "none";
      this.refuse("The package claims to be complete for what its filter does not ask for.");
    }
  }
  refuse(problem, first = null, last = first) {
    this.result.findings.push(new Finding("completeness_false", first, last, null, problem));
  }
  take(header) {
    const seq = header.seq;
    if (this.kind === "range") {
      this.outside ||= seq < this.first || seq > this.last;
      this.missingBefore(Math.min(seq, this.last));
      this.next = Math.max(this.next, seq + 1);
    } else if (this.kind !== "none") {
      const ordinal = header[`${this.kind}_seq`];
      const [type, id] = this.whose;
      if (header[this.kind].type !== type || header[this.kind].id !== id)
        return this.refuse(`the package claims a history of one ${this.kind}, and this is of another.`, seq);
      if (ordinal !== this.next)
        this.refuse(`before it, records of the ${this.kind} are missing that the package claims to hold.`, seq);
      this.next = ordinal + 1;
    }
  }
  missingBefore(seq) {
    if (this.next < seq)
      this.refuse("missing, although the package claims to hold all of its range.", this.next, seq - 1);
  }
  end() {
    if (this.kind !== "range") return;
    this.missingBefore(this.last + 1);
    if (this.outside) this.refuse("The package holds records outside of the range that it claims to be.");
  }
}

class Records {
  constructor(result, manifest, checkpoint, counted) {
    Object.assign(this, {result, manifest, checkpoint, counted, malformed: [], first: 0, last: 0, before: null,
                         absent: [], shown: new Set(), erasures: [], rows: [tableHead()]});
    this.claim = manifest ? new Claim(manifest, result) : null;
    this.withheld = manifest ? manifest.withheld : [];
  }

  async take(line, bytes, start, end) {
    const {result} = this;
    let record;
    try { record = readLine(bytes, this.manifest ? this.manifest.organization_id : null); } catch (problem) {
      if (!(problem instanceof Malformed)) throw problem;
      this.malformed.push(line);
      return;
    }
    const {header, hash} = record, seq = header.seq, codes = [];
    const note = (code, problem, section = null) => { codes.push(code); result.add(code, problem, seq, section); };
    if (seq <= this.last) note("record_reordered", "it stands after a record of the same or a later position.");
    if (hex(await sha256(join([0], utf8(canonical(header))))) !== hash)
      note("record_modified", "the header does not give the hash.");
    result.held.headers++;
    if (this.checkpoint) {
      if (!await isIncluded(hash, seq - 1, record.proof, this.checkpoint))
        note("proof_invalid", "the proof does not lead to the checkpoint's root.");
      result.held.proofs++;
    }
    const sound = !codes.length;
    const before = seq === 1 ? [0, "0".repeat(64)] : this.before;
    if (sound && before && before[0] === seq - 1) {
      if (header.prev !== before[1]) note("chain_broken", "the link is not the hash of the record before.");
      result.held.links++;
    }
    for (const name of SECTIONS) {
      const section = record[name], digest = header[name];
      if (section === null) {
        if (digest !== null && !this.withheld.includes(name)) this.absent.push([seq, name]);
        continue;
      }
      result.held.sections++;
      if (!await sectionIsSound(section, digest))
        note("payload_modified", `the section ${name} does not give its digest.`, name);
      else if (this.withheld.includes(name)) this.shown.add(name);
      else if (name === "after" && sound) this.erasure(record);
    }
    this.claim?.take(header);
    if (this.counted) this.rows.push(utf8(tableRow(record)));
    result.records++;
    result.places.push([start, end, seq, codes]);
    this.before = sound ? [seq, hash] : null;
    this.first ||= seq;
    this.last = Math.max(this.last, seq);
  }

  erasure({header, after}) {
    if (header.action !== "erase" || header.entity.type !== "organization" ||
        header.entity.id !== header.organization_id) return;
    let said;
    try { said = parse(after.body); } catch { return; }
    if (isShaped(said, {seq: COUNT, seq_end: COUNT, sections: isTexts}) && said.seq_end < header.seq)
      this.erasures.push([header.seq, said.seq, said.seq_end, said.sections]);
  }

  end() {
    const {result, manifest, malformed} = this;
    if (malformed.length) {
      const lines = malformed.length > 1 ? `${number(malformed.length)} lines` : "A line";
      result.add("record_malformed",
                 `${lines} of ${RECORDS}, the first at ${number(malformed[0])}, can't be read as records of this chain.`);
    }
    this.claim?.end();
    for (const [seq, name] of this.absent) {
      const by = this.erasures.find(([, first, last, names]) => first <= seq && seq <= last && names.includes(name));
      if (by) result.add("payload_erased", `the section ${name} was erased; record ${number(by[0])} says why.`, seq, name);
      else result.add("payload_absent",
                      `the section ${name} is absent and not declared withheld: it was erased by law, or left out.`, seq, name);
    }
    if (manifest === null) return;
    for (const name of SECTIONS) if (this.shown.has(name))
      result.add("manifest_invalid", `The manifest says that ${name} is withheld, but it is there.`);
    const said = [manifest.records, manifest.first_seq, manifest.last_seq];
    const here = [result.records, this.first, this.last];
    if (said.some((value, at) => value !== here[at])) {
      const [a, b, c, d, e, f] = [...said, ...here].map(number);
      result.add("manifest_invalid",
                 `The manifest speaks of ${a} records from ${b} to ${c}; there are ${d} from ${e} to ${f}.`);
    }
  }
}

// records.csv

const SKIPPED = ";\\t\\r\\n\\s\\x00-\\x1f\\x7f-\\x9f\"'\\u00ad\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2064\\ufeff";
const TRIGGERS = "=+\\-@\\uff1d\\uff0b\\uff0d\\uff20";
const HARMFUL = new RegExp(`^(?:['\\t\\r\\n\\x00]|[${SKIPPED}]*[${TRIGGERS}])`);
const CELLS = new RegExp(`[;\\t\\r\\n][${SKIPPED}]*([${TRIGGERS}]?)`, "g");
const COLUMNS = [
  "organization_id", "seq", "record_id", "occurred_at", "recorded_at", "actor_type", "actor_id", "actor_name",
  "actor_role", "actor_seq", "credential_id", "on_behalf_of", "action", "outcome", "entity_type", "entity_id",
  "entity_name", "entity_seq", "related", "reason", "correlation_id", "before", "before_digest", "after",
  "after_digest", "context", "context_digest", "prev_hash", "hash",
];

const tableHead = () => join([0xef, 0xbb, 0xbf], utf8(COLUMNS.map(name => `"${name}"`).join(",") + "\r\n"));

function tableRow({header, hash, ...sections}) {
  const cells = {...header, related: canonical(header.related), prev_hash: header.prev, hash};
  for (const name of ["actor", "entity"])
    for (const part of Object.keys(header[name])) cells[`${name}_${part}`] = header[name][part];
  for (const name of SECTIONS) [cells[`${name}_digest`], cells[name]] = [header[name], sections[name]?.body ?? null];
  return COLUMNS.map(name => cell(cells[name])).join(",") + "\r\n";
}

const cell = value => COUNT(value) ? String(value) : `"${defuse(value ?? "").replaceAll('"', '""')}"`;

function defuse(text) {
  const inside = text.replace(CELLS, (run, trigger) => trigger ? run.replace(/[;\t\r\n]/g, "$&'") : run);
  return HARMFUL.test(text) ? `'${inside}` : inside;
}

// The package

// Check a ZIP by keys that are trusted; null: without any. Progress is told how many bytes of how many were read.
async function checkPackage(bytes, keys, progress = () => {}) {
  const result = new Result();
  const archive = openArchive(bytes, result);
  if (archive === null) return {result, files: null};
  const files = new Map();
  for (const name of [...archive.keys()].sort()) {
    try { files.set(name, await unpack(bytes, archive.get(name))); } catch (problem) {
      if (!(problem instanceof Malformed)) throw problem;
      result.add("package_invalid", `${name} is damaged: it can't be unpacked to what the archive says.`);
    }
  }
  if (!result.findings.length) await checkFiles(result, files, keys, progress, null);
  return {result, files};
}

// Check files that are at hand; `about`: what the manifest of a page says that is not at hand itself.
async function checkFiles(result, files, keys, progress, about) {
  const digests = new Map();
  for (const [name, bytes] of files) digests.set(name, hex(await sha256(bytes)));
  if (files.has(MANIFEST)) await checkManifest(result, files, digests, keys, about);
  else result.manifest = about;
  const checkpoint = await checkCheckpoint(result, files, keys);
  const records = new Records(result, result.manifest, checkpoint, files.has(TABLE));
  const lines = files.get(RECORDS);
  for (let start = 0, line = 1; start < lines.length; line++) {
    let end = lines.indexOf(10, start);
    if (end < 0) end = lines.length - 1;
    await records.take(line, lines.subarray(start, end + 1), start, end + 1);
    start = end + 1;
    if (line % 100 === 0) await progress(start, lines.length);
  }
  records.end();
  if (!result.records) result.add("package_invalid", "The package holds no record.");
  const agreed = result.manifest?.files &&
    [RECORDS, TABLE].every(name => digests.get(name) === result.manifest.files[name]);
  if (agreed && digests.has(TABLE) && !records.malformed.length &&
      digests.get(TABLE) !== hex(await sha256(join(...records.rows))))
    result.add("table_differs", `${TABLE} does not say what ${RECORDS} says.`);
  return result;
}

async function checkManifest(result, files, digests, keys, about) {
  let note, manifest;
  try {
    note = readNote(files.get(MANIFEST));
    manifest = result.manifest = readManifest(note.text);
  } catch (problem) {
    if (!(problem instanceof Malformed)) throw problem;
    result.add("manifest_invalid", `${MANIFEST} can't be read: ${problem.message}.`);
    return;
  }
  const wrong = await checkSignatures(result, MANIFEST, manifest.origin, note, keys);
  if (wrong) result.add("manifest_invalid", wrong);
  const names = new Set([...Object.keys(manifest.files), ...digests.keys()]);
  names.delete(MANIFEST);
  for (const name of [...names].sort()) {
    if (!digests.has(name)) {
      if (about === null) result.add("file_modified", `${name} is in the manifest, but not in the package.`);
    } else if (!(name in manifest.files))
      result.add("file_modified", `${name} is in the package, but not in the manifest.`);
    else if (manifest.files[name] !== digests.get(name))
      result.add("file_modified", `${name} is not the file that was exported: its SHA-256 differs.`);
  }
}

async function checkCheckpoint(result, files, keys) {
  let note, checkpoint;
  try {
    note = readNote(files.get(CHECKPOINT));
    checkpoint = readCheckpoint(note.text);
  } catch (problem) {
    if (!(problem instanceof Malformed)) throw problem;
    result.add("checkpoint_invalid", `${CHECKPOINT} can't be read: ${problem.message}.`);
    return null;
  }
  const {manifest} = result;
  if (manifest && (checkpoint.origin !== manifest.origin || checkpoint.size !== manifest.tree_size)) {
    result.add("checkpoint_invalid", `${CHECKPOINT} is not the checkpoint of which the manifest speaks.`);
    return checkpoint;
  }
  const wrong = await checkSignatures(result, CHECKPOINT, checkpoint.origin, note, keys);
  if (wrong) result.add("checkpoint_invalid", wrong);
  return checkpoint;
}

// ZIP: what every program unpacks to the same files and to no others

function openArchive(bytes, result) {
  let entries = [];
  try { entries = readDirectory(bytes); } catch (problem) {
    if (problem instanceof TooLarge) throw problem;
  }
  if (!entries.length || Math.min(...entries.map(entry => entry.offset)) !== 0) {
    result.add("package_invalid", "This is no ZIP archive, or it is truncated or has something before or after it.");
    return null;
  }
  if (entries.length > MAX_FILES) {
    result.add("package_invalid", "The package holds more files than a package has.");
    return null;
  }
  const archive = new Map();
  entries.forEach((entry, at) => {
    if (!NAME.test(entry.name))
      result.add("package_invalid", `File ${number(at + 1)} of the package has a name that no file of a package has.`);
    else if (archive.has(entry.name)) result.add("package_invalid", `The package holds ${entry.name} more than once.`);
    archive.set(entry.name, entry);
  });
  const size = entries.reduce((sum, entry) => sum + entry.size, 0);
  if (size > UNPACKED + TIMES * bytes.length)
    result.add("package_invalid", "The package would unpack to far more than its size: it was not unpacked.");
  for (const name of [MANIFEST, CHECKPOINT, RECORDS])
    if (!archive.has(name)) result.add("package_invalid", `The package holds no ${name}.`);
  if (result.findings.length) return null;
  if (size > MAX_HERE) throw new TooLarge();
  return archive;
}

function readDirectory(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - 22;
  if (view.getUint32(end, true) !== 0x06054b50) throw new Malformed("it is no archive");
  const [length, offset] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)];
  if (offset === 0xffffffff || view.getUint16(end + 10, true) === 0xffff) throw new TooLarge();
  if (offset + length !== end) throw new Malformed("it is no archive");
  const entries = [];
  for (let at = offset; at < end;) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Malformed("it is no archive");
    const [nameLength, extra, comment] = [28, 30, 32].map(place => view.getUint16(at + place, true));
    const [crc, packed, size, place] = [16, 20, 24, 42].map(field => view.getUint32(at + field, true));
    if ([packed, size, place].includes(0xffffffff)) throw new TooLarge();
    const name = latin1(bytes.subarray(at + 46, at + 46 + nameLength));
    entries.push({name, flags: view.getUint16(at + 8, true), method: view.getUint16(at + 10, true), crc, packed, size,
                  offset: place});
    at += 46 + nameLength + extra + comment;
  }
  return entries;
}

const latin1 = bytes => Array.from(bytes, byte => String.fromCharCode(byte)).join("");

async function unpack(bytes, entry) {
  const damaged = () => { throw new Malformed("it is damaged"); };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (entry.offset + 30 > bytes.length || view.getUint32(entry.offset, true) !== 0x04034b50) damaged();
  const nameEnd = entry.offset + 30 + view.getUint16(entry.offset + 26, true);
  if (latin1(bytes.subarray(entry.offset + 30, nameEnd)) !== entry.name || entry.flags & 1) damaged();
  const start = nameEnd + view.getUint16(entry.offset + 28, true);
  const packed = bytes.subarray(start, start + entry.packed);
  let unpacked;
  if (entry.method === 0) unpacked = packed.slice(0, entry.size);
  else if (entry.method === 8) unpacked = await inflate(packed, entry.size);
  else damaged();
  if (unpacked.length !== entry.size || crc32(unpacked) !== entry.crc) damaged();
  return unpacked;
}

// Unpack as many bytes as the archive says, and no more
async function inflate(packed, size) {
  const unpacked = new Uint8Array(size);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  let at = 0;
  try {
    while (at < size) {
      const {done, value} = await stream.read();
      if (done) break;
      unpacked.set(value.subarray(0, size - at), at);
      at += Math.min(value.length, size - at);
    }
  } catch { /* what is missing is told by the caller */ }
  stream.cancel().catch(() => {});
  return unpacked.subarray(0, at);
}

const CRC = Uint32Array.from({length: 256}, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}
