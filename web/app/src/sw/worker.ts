/*
 * Keeps the app's files, so that it opens without a network, and what was last seen of the market. Everything live goes past it.
 * It is built after the app, by scripts/worker.mjs, which tells it what the app consists of.
 */
import { cacheFor, isPage, isRemembered, TAKE_OVER } from "./rules";
import { recall, shelve } from "./shelf";

declare const self: ServiceWorkerGlobalScope;
/** The files that every page needs, and a name for this very set of them. */
declare const __SHELL__: { version: string; files: string[] };

const SHELL_OF = "shell ";
const SHELL = SHELL_OF + __SHELL__.version;
const INDEX = "/index.html";
/** Their names tell their content. */
const ASSETS = "/assets/";
/** So proxies answer for instances that are gone. */
const AWAY = new Set([502, 503, 504]);
const HEADERS_VARY = { ignoreVary: true };

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === TAKE_OVER) void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (isPage(pathname)) event.respondWith(shell(INDEX, request));
  } else if (pathname.startsWith(ASSETS) || __SHELL__.files.includes(pathname)) {
    event.respondWith(shell(pathname, request));
  } else if (isRemembered(pathname)) {
    const cache = cacheFor(request.headers.get("Authorization"));
    if (cache !== undefined) event.respondWith(newest(event, cache));
  }
});

/** All of the shell or nothing: a new version is only there once every file of it is. */
async function install(): Promise<void> {
  const cache = await caches.open(SHELL);
  await Promise.all(
    __SHELL__.files.map(async (file) => {
      const kept = file.startsWith(ASSETS) ? await caches.match(file, HEADERS_VARY) : undefined;
      const response = kept ?? (await fetch(file, { cache: "no-cache" }));
      if (!response.ok) throw new Error(`${file}: ${response.status}`);
      await cache.put(file, response);
    }),
  );
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(SHELL_OF) && name !== SHELL) await caches.delete(name);
  }
  await self.clients.claim();
}

/** A file of the app's, kept once it was needed. */
async function shell(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(SHELL);
  const kept = await cache.match(path, HEADERS_VARY);
  if (kept !== undefined) return kept;
  const response = await fetch(request);
  if (response.ok && path.startsWith(ASSETS)) await cache.put(path, response.clone());
  return response;
}

/** What the server says; if it can't be reached, what it said last. */
async function newest(event: FetchEvent, name: string): Promise<Response> {
  const { request } = event;
  try {
    const response = await fetch(request);
    if (response.ok) event.waitUntil(remember(name, request.url, response.clone()));
    if (!AWAY.has(response.status)) return response;
    return (await recall(name, request.url)) ?? response;
  } catch (error) {
    const kept = request.signal.aborted ? undefined : await recall(name, request.url);
    if (kept === undefined) throw error;
    return kept;
  }
}

async function remember(name: string, url: string, response: Response): Promise<void> {
  await shelve(name, url, await response.blob(), response.headers.get("Content-Type") ?? "");
}
