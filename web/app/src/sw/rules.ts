/** What the service worker and the app agree on. */

/** Says of an answer that it is an old one, and from when: RFC 3339. */
export const AS_OF = "X-Rialto-As-Of";

/** Begins the names of caches with answers that were seen; whose they are follows. */
const SEEN = "seen ";
const NOBODY = "nobody";

/** Tells a waiting worker to take over. */
export const TAKE_OVER = "take over";

/** What is worth having without a network, of what is fetched by `GET`. */
const REMEMBERED =
  /^\/api\/v1\/(jobs(\/[^/]+)?|auctions\/[^/]+|users\/[^/]+|users\/me\/bids|rooms(\/[^/]+(\/messages)?)?|notifications)$/;
/** What isn't the app's. */
const INTERFACES = /^\/(api|socket\.io|admin|health|metrics)(\/|$)/;

export const isRemembered = (path: string): boolean => REMEMBERED.test(path);
export const isPage = (path: string): boolean => !INTERFACES.test(path);

/** Where answers for a user are kept; for nobody in particular without one. */
export const seenBy = (user: string | undefined): string => SEEN + (user ?? NOBODY);

/** Whether that is somebody else's than this user's; what anybody may see is nobody's. */
export const isOthers = (cache: string, user: string | undefined): boolean =>
  cache.startsWith(SEEN) && cache !== seenBy(user) && cache !== seenBy(undefined);

/** Where the answer to a call with this `Authorization` is kept; undefined if it can't be told whose it is. */
export function cacheFor(authorization: string | null): string | undefined {
  if (authorization === null) return seenBy(undefined);
  const user = subject(authorization);
  return user === undefined ? undefined : seenBy(user);
}

/** The user that a bearer token is for. It isn't verified: it only says whose shelf an answer of the server's goes on. */
function subject(authorization: string): string | undefined {
  const claims = authorization.split(".")[1];
  if (claims === undefined) return undefined;
  try {
    const { sub } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))) as { sub?: unknown };
    return typeof sub === "string" && sub !== "" ? sub : undefined;
  } catch {
    return undefined;
  }
}
