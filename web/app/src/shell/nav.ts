import type { IconName } from "$ui/icons";

interface Place {
  href: string;
  text: string;
  icon: IconName;
  count?: "notifications" | "messages";
}

export const MARKET: Place = { href: "/", text: "Market", icon: "market" };
export const CHAT: Place = { href: "/chat", text: "Chat", icon: "chat", count: "messages" };
export const NEWS: Place = { href: "/notifications", text: "News", icon: "bell", count: "notifications" };
export const ME: Place = { href: "/me", text: "Profile", icon: "user" };

/** A count as it fits on a badge. */
export const short = (count: number): string => (count > 99 ? "99+" : String(count));

/** Whether a link leads to where the reader is, or to a place above. */
export function isCurrent(href: string, path: string): boolean {
  return href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`);
}
