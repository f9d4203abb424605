import { isLost } from "./errors";
import { AS_OF, isOthers, TAKE_OVER } from "../sw/rules";

const LOOK_EVERY_MS = 30 * 60_000;

/** What the service worker gives: the app without a network, what was last seen, and news of a new version. */
class Offline {
  /** Since when what the page shows may be old: an answer that was kept was shown; undefined if none is. */
  asOf = $state<string | undefined>(undefined);
  /** Counts how often the server was back: whoever reads it fetches anew. */
  returns = $state(0);
  /** A new version is there, and waits. */
  waiting = $state.raw<ServiceWorker | undefined>(undefined);
  private leaving = false;
  /** Something could not be had at all. */
  private missed = false;

  /** Returns whether an answer came from the server, now. */
  note(response: Response): boolean {
    const at = response.headers.get(AS_OF);
    if (at === null) return true;
    if (this.asOf === undefined || at < this.asOf) this.asOf = at;
    return false;
  }

  /** Something could not be fetched: if that was for want of the server, it is asked for again when that is back. */
  miss(error: unknown): void {
    this.missed ||= isLost(error);
  }

  /** The server is back. */
  returned(): void {
    if (this.asOf === undefined && !this.missed) return;
    this.asOf = undefined;
    this.missed = false;
    this.returns += 1;
  }

  /** Drops what was seen by anybody but this user. */
  async forgetOthers(user: string | undefined): Promise<void> {
    if (!("caches" in globalThis)) return; // only secure pages have them
    for (const name of await caches.keys()) if (isOthers(name, user)) await caches.delete(name);
  }

  async begin(): Promise<void> {
    if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
    const workers = navigator.serviceWorker;
    const first = workers.controller === null;
    workers.addEventListener("controllerchange", () => {
      if (this.leaving) location.reload();
      else if (first) this.returns += 1; // what a first visit has fetched went past the worker, which is to keep it
    });
    const registration = await workers.register("/sw.js").catch(() => undefined);
    if (registration === undefined) return; // it works without, as long as there is a network
    const look = () => {
      const { installing, waiting, active } = registration;
      // The very first one only waits for a moment.
      if (waiting !== null && active !== null) this.waiting = waiting;
      installing?.addEventListener("statechange", look);
    };
    registration.addEventListener("updatefound", look);
    look();
    const update = () => void registration.update().catch(() => {});
    setInterval(update, LOOK_EVERY_MS);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) update();
    });
  }

  /** Takes the new version: the page is loaded anew by it. */
  update(): void {
    this.leaving = true;
    // Another tab may have been faster.
    if (this.waiting?.state !== "installed") location.reload();
    this.waiting?.postMessage(TAKE_OVER);
  }
}

export const offline = new Offline();
