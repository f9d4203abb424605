// Builds dist/sw.js, which knows the files of the built app: what every page needs is kept for opening it without a network.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const WORKER = fileURLToPath(new URL("../src/sw/worker.ts", import.meta.url));
const KEPT = new Set([".html", ".js", ".css", ".woff2", ".svg", ".webmanifest"]);
/** Pages for few, or large ones: they are kept when somebody has opened them. */
const LATER = ["src/pages/market/Map.svelte", "src/pages/ops/Page.svelte"];
/** Letters that most readers never see. */
const RARE = /-(vietnamese|latin-ext)-/;

const chunks = JSON.parse(await readFile(join(DIST, ".vite/manifest.json"), "utf8"));
const later = new Set(LATER.flatMap((source) => [chunks[source].file, ...(chunks[source].css ?? [])]));

const digest = createHash("sha256");
const files = [];
for (const entry of (await readdir(DIST, { recursive: true, withFileTypes: true })).sort(byPath)) {
  const name = relative(DIST, join(entry.parentPath, entry.name));
  if (!entry.isFile() || name.startsWith(".") || name === "sw.js") continue;
  if (!KEPT.has(extname(name)) || later.has(name) || RARE.test(name)) continue;
  files.push(`/${name}`);
  digest.update(name).update(await readFile(join(DIST, name)));
}

await build({
  configFile: false,
  logLevel: "warn",
  publicDir: false,
  define: { __SHELL__: JSON.stringify({ version: digest.digest("hex").slice(0, 16), files }) },
  build: {
    outDir: DIST,
    emptyOutDir: false,
    target: "es2022",
    lib: { entry: WORKER, formats: ["iife"], name: "worker", fileName: () => "sw.js" },
  },
});

function byPath(one, other) {
  return join(one.parentPath, one.name) < join(other.parentPath, other.name) ? -1 : 1;
}
