import { untrack } from "svelte";
import { match, type Match } from "../routes";

/** Why somebody is asked to sign in. */
export type SignInReason = "expired" | "elsewhere" | "needed";

interface Kept {
  /** Where the page was scrolled to when it was left. */
  scroll?: number;
}

interface Going {
  /** In place of the current entry of the history. */
  replace?: boolean;
  /** Leaves focus and scroll where they are: for filters and tabs in the address. */
  keep?: boolean;
}

/** Where the reader is. Links are plain `<a href>`: a click on one that leads to a page of ours comes here. */
class Router {
  path = $state(location.pathname);
  /** The part after `?`. */
  search = $state(location.search);
  /** Counts navigations that lead to another place, rather than another view of the same. */
  visits = $state(0);
  /** Where to scroll once the page is there: what was left before, or the top. */
  scroll = 0;

  readonly match: Match = $derived(match(this.path));
  readonly query: URLSearchParams = $derived(new URLSearchParams(this.search));

  start(): void {
    history.scrollRestoration = "manual";
    addEventListener("popstate", (event) => {
      this.scroll = (event.state as Kept | null)?.scroll ?? 0;
      this.show(true);
    });
    addEventListener("pagehide", () => this.remember());
    document.addEventListener("click", (event) => this.clicked(event));
    document.addEventListener("pointerover", (event) => {
      const link = linkAt(event);
      if (link !== undefined)
        match(link.pathname)
          .route.load()
          .catch(() => {}); // the click tells what is wrong
    });
    this.scroll = (history.state as Kept | null)?.scroll ?? 0;
  }

  /** Effects may call it without depending on where the reader is. */
  go(to: string, going: Going = {}): void {
    untrack(() => this.move(to, going));
  }

  private move(to: string, { replace = false, keep = false }: Going): void {
    if (!keep) this.scroll = 0;
    if (replace) history.replaceState(keep ? history.state : null, "", to);
    else {
      this.remember();
      history.pushState(null, "", to);
    }
    this.show(!keep);
  }

  private show(another: boolean): void {
    this.path = location.pathname;
    this.search = location.search;
    if (another) this.visits += 1;
  }

  private remember(): void {
    history.replaceState({ scroll: Math.round(scrollY) } satisfies Kept, "");
  }

  private clicked(event: MouseEvent): void {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const url = linkAt(event);
    if (url === undefined) return;
    if (url.pathname + url.search === location.pathname + location.search && url.hash) return;
    event.preventDefault();
    this.go(url.pathname + url.search + url.hash);
  }
}

/** The page of ours that a link below the pointer leads to. */
function linkAt(event: Event): URL | undefined {
  const link = (event.target as Element | null)?.closest("a");
  if (!link?.href || link.target || link.hasAttribute("download")) return undefined;
  const url = new URL(link.href);
  return url.origin === location.origin && match(url.pathname).route.page !== "missing" ? url : undefined;
}

export const router = new Router();

/** Goes to a page: `go("/jobs/1")`. */
export const go = (to: string, going?: Going): void => router.go(to, going);

/** Changes the query of this page, without a new entry in the history. Empty values go. */
export function setQuery(changes: Record<string, string | undefined>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const search = query.toString();
  router.go(location.pathname + (search ? `?${search}` : ""), { replace: true, keep: true });
}

/** To sign-in, and back to here after it. */
export function goToSignIn(why: SignInReason): void {
  const { page } = match(location.pathname).route;
  if (page === "sign-in" || page === "register") return;
  const next = location.pathname + location.search;
  router.go(`/sign-in?${new URLSearchParams({ next, why }).toString()}`, { replace: why === "needed" });
}

/** Where sign-in leads to: a place of this site, whatever the address says. */
export function nextPlace(query: URLSearchParams): string {
  const next = query.get("next") ?? "/";
  const url = URL.canParse(next, location.origin) ? new URL(next, location.origin) : undefined;
  return url?.origin === location.origin && next.startsWith("/") ? url.pathname + url.search : "/";
}

/** Leaves sign-in or registration for what its address says; once, since the address changes before the page is gone. */
export function goNext(): void {
  untrack(() => {
    const { page } = router.match.route;
    if (page === "sign-in" || page === "register") router.go(nextPlace(router.query), { replace: true });
  });
}

/** The title of the document; pages whose name has to be fetched say it when they have it. */
export function setTitle(title: string): void {
  document.title = title ? `${title} · Rialto` : "Rialto";
}
