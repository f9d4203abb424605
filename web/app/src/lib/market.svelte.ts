import { Client, type Schemas, type Tokens, type User } from "@rialto/client";
import { Connection } from "./connection.svelte";
import { Outgoing } from "./rooms/outgoing.svelte";
import { offline } from "./offline.svelte";
import { goToSignIn } from "./router.svelte";

const KEPT = "rialto.session";
/** When somebody last signed out here, for the other tabs. */
const LEFT = "rialto.left";
/** So soon after it a login that has ended was ended by that. */
const LEFT_MS = 10_000;
const READING_MS = 8000;

interface Kept {
  tokens: Tokens;
  user?: User | undefined;
}

function kept(text = localStorage.getItem(KEPT)): Kept | undefined {
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Kept;
  } catch {
    return undefined;
  }
}

/** Who uses this page, over all tabs. */
class Session {
  user = $state<User | undefined>(kept()?.user);
  signedIn = $state(kept() !== undefined);
  /** Whose messages may wait in this page, also after the login has ended. */
  owner = kept()?.user?.id;

  keep(tokens: Tokens | undefined): void {
    this.signedIn = tokens !== undefined;
    if (tokens === undefined) {
      this.user = undefined;
      localStorage.removeItem(KEPT);
      void offline.forgetOthers(undefined);
    } else localStorage.setItem(KEPT, JSON.stringify({ tokens, user: this.user } satisfies Kept));
  }

  /** Who that is was learnt, or has changed. */
  know(user: User): void {
    const another = this.owner !== undefined && this.owner !== user.id;
    this.owner = user.id;
    this.user = user;
    void offline.forgetOthers(user.id);
    const now = kept();
    if (now !== undefined) localStorage.setItem(KEPT, JSON.stringify({ ...now, user } satisfies Kept));
    if (another) location.reload(); // what is on the page, or waits to be sent, is somebody else's
  }

  /** What another tab has done: signed in or out, or renewed the tokens. */
  follow(text: string | null): void {
    const now = kept(text ?? null);
    const another = now?.user !== undefined && this.user !== undefined && now.user.id !== this.user.id;
    if (another) return location.reload();
    client.share(now?.tokens);
    this.user = now?.user;
    const ended = this.signedIn && now === undefined;
    this.signedIn = now !== undefined;
    if (!ended) return;
    const left = Number(localStorage.getItem(LEFT) ?? 0);
    goToSignIn(Date.now() - left < LEFT_MS ? "elsewhere" : "expired");
  }
}

export const session = new Session();
export const connection = new Connection();
/** Messages that were sent from here, until they are seen in their rooms. */
export const outgoing = new Outgoing(() => session.user?.id);

/** Where messages wait for a connection: each person's apart, since several may use a browser. */
const waiting = {
  getItem: (name: string) => localStorage.getItem(`${name}.${session.owner ?? ""}`),
  setItem(name: string, value: string) {
    if (session.owner !== undefined) localStorage.setItem(`${name}.${session.owner}`, value);
  },
};

/** The one client of this page. */
export const client = new Client({
  url: location.origin,
  tokens: kept()?.tokens,
  fetch: connection.fetch,
  storage: waiting,
  onTokens: (tokens) => session.keep(tokens),
  onSessionOver: () => goToSignIn("expired"),
  onSent: (message, sent) => outgoing.wasSent(message, sent),
  onRefused: (message, error) => outgoing.wasRefused(message, error),
});

export async function signIn(credentials: Schemas["Credentials"]): Promise<void> {
  session.know(await client.login(credentials));
}

export async function register(registration: Schemas["Registration"]): Promise<void> {
  session.know(await client.register(registration));
}

/** Ends the login everywhere; in this browser also when the server can't be told, which is then thrown. */
export async function signOut(): Promise<void> {
  localStorage.setItem(LEFT, String(Date.now()));
  await client.logout();
}

/** A call of the REST interface, typed by its answer: `rest<Schemas["JobOut"]>("GET", "/jobs/1")`. */
export function rest<T>(...[method, path, call]: Parameters<Client["rest"]>): Promise<T> {
  // What is only to be shown isn't waited for as long as what is to be done: it is asked for again when the server is back.
  const patience = method === "GET" ? { patience_ms: navigator.onLine ? READING_MS : 0 } : {};
  return client.rest<T>(method, path, { ...patience, ...call });
}

/** Begins what every page needs. */
export function openMarket(): void {
  connection.follow(client);
  void offline.forgetOthers(session.user?.id);
  addEventListener("storage", (event) => {
    if (event.key === KEPT || event.key === null) session.follow(event.newValue);
  });
  client.clock.sync().catch(() => retryClock());
  if (session.signedIn) {
    rest<User>("GET", "/users/me").then(
      (user) => session.know(user),
      () => {}, // the kept one is good enough until the next start
    );
  }
}

function retryClock(): void {
  setTimeout(() => client.clock.sync().catch(retryClock), 5000);
}
