// Says how much the market page's first load is, compressed as it is sent; fails when its JavaScript is over the limit.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const ENTRY = "index.html";
const PAGE = "src/pages/market/Page.svelte";
const LIMIT = 120_000;

const chunks = JSON.parse(await readFile(join(DIST, ".vite/manifest.json"), "utf8"));

/** A chunk and all that it imports before it runs. */
function needed(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const imported of chunks[name].imports ?? []) needed(imported, found);
  return found;
}

async function size(file, ending) {
  const compressed = await stat(join(DIST, file + ending)).catch(() => stat(join(DIST, file)));
  return compressed.size;
}

const names = [...needed(PAGE, needed(ENTRY))];
const scripts = [...new Set(names.map((name) => chunks[name].file))];
const styles = [...new Set(names.flatMap((name) => chunks[name].css ?? []))];
const rows = [];
for (const [kind, files] of Object.entries({ JavaScript: scripts, CSS: styles, HTML: [ENTRY] })) {
  for (const file of files)
    rows.push({ kind, file, plain: await size(file, ""), gz: await size(file, ".gz"), br: await size(file, ".br") });
}

const sum = (kind, form) => rows.filter((row) => row.kind === kind).reduce((bytes, row) => bytes + row[form], 0);
const line = (...cells) =>
  console.log(cells.map((cell, n) => (n ? String(cell).padStart(9) : cell.padEnd(48))).join(""));

line("first load of the market page, bytes", "plain", "gz", "br");
for (const { file, plain, gz, br } of rows) line(file, plain, gz, br);
for (const kind of ["JavaScript", "CSS"]) line(`${kind} in all`, sum(kind, "plain"), sum(kind, "gz"), sum(kind, "br"));
const worst = sum("JavaScript", "gz");
if (worst > LIMIT) {
  console.error(`The JavaScript is ${worst} bytes with gzip: ${LIMIT} are allowed.`);
  process.exitCode = 1;
}
