/** Where answers are kept that were seen; the service worker and the app put them there and take them. */
import { AS_OF } from "./rules";

/** Answers that are kept of one user. */
const MOST = 120;

/** Keeps a body under an address, in place of what was there. */
export async function shelve(name: string, url: string, body: BodyInit, type: string): Promise<void> {
  const cache = await caches.open(name);
  await cache.delete(url); // what is put anew is the newest of them
  await cache.put(url, new Response(body, { headers: { "Content-Type": type, [AS_OF]: new Date().toISOString() } }));
  const kept = await cache.keys();
  for (const old of kept.slice(0, Math.max(0, kept.length - MOST))) await cache.delete(old);
}

export async function recall(name: string, url: string): Promise<Response | undefined> {
  return (await caches.has(name)) ? (await caches.open(name)).match(url) : undefined;
}
