// Prints, one a line, every secret in a state directory that is text: node secrets.mjs DIRECTORY. That is what stands under a
// name of secrets in its JSON files and databases, and the bodies of private keys.
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

const named = /(token|secret|secretkey|password|apikey|privatekeypem|private_key_pem)$/i;
const found = new Set();

function value(text) {
  const body = text.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----\n([^-]+)\n-----END/)?.[1];
  for (const secret of body ? body.split("\n") : [text]) if (secret.length >= 8) found.add(secret);
}

function walk(node, name = "") {
  if (typeof node === "string") {
    if (named.test(name)) value(node);
    else if (/^\s*[{[]/.test(node)) json(node);
  } else if (node && typeof node === "object") {
    for (const [key, child] of Object.entries(node)) walk(child, Array.isArray(node) ? name : key);
  }
}

function json(text) {
  try {
    walk(JSON.parse(text));
  } catch {
    // not JSON after all
  }
}

function database(file) {
  const db = new DatabaseSync(file, { readOnly: true });
  for (const { name } of db.prepare("select name from sqlite_master where type = 'table' and name like 'device%' or name like 'exec_approvals%' or name = 'config_machine_state'").all()) {
    for (const row of db.prepare(`select * from "${name}"`).all()) walk(row);
  }
  db.close();
}

for (const entry of fs.readdirSync(process.argv[2], { recursive: true, withFileTypes: true })) {
  const file = path.join(entry.parentPath, entry.name);
  if (!entry.isFile() || /\/(workspace|node_modules|cache)\//.test(file)) continue;
  if (/\.secret$/.test(file)) found.add(fs.readFileSync(file, "utf8").trim());
  if (/\.json(\.bak[.\d]*|\.last-good|\.migrated)?$/.test(file)) json(fs.readFileSync(file, "utf8"));
  if (/\/state\/openclaw\.sqlite$/.test(file)) database(file);
}
console.log([...found].sort().join("\n"));
