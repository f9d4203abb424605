import type { Component } from "svelte";

export interface PageProps {
  params: Record<string, string>;
  query: URLSearchParams;
}

/** Pages that depend on nothing in the address take no properties. */
export type Page = Component<PageProps> | Component<Record<string, never>>;

export interface Route {
  /** Segments; `:name` takes any one. */
  pattern: string;
  /** The folder of the page, below `src/pages/`. */
  page: string;
  title: string;
  /** For whom it is; everybody unless told. */
  for?: "users" | "admins";
  /** The page stays mounted when its parameters change. */
  stays?: boolean;
  load: () => Promise<{ default: Page }>;
}

export interface Match {
  route: Route;
  params: Record<string, string>;
}

const MISSING: Route = {
  pattern: "",
  page: "missing",
  title: "Page not found",
  load: () => import("./pages/missing/Page.svelte"),
};

/** Every page, in the order in which they are tried. */
export const ROUTES: readonly Route[] = [
  { pattern: "/", page: "market", title: "Market", load: () => import("./pages/market/Page.svelte") },
  {
    pattern: "/jobs/new",
    page: "new-job",
    title: "Post a job",
    for: "users",
    load: () => import("./pages/new-job/Page.svelte"),
  },
  { pattern: "/jobs/:id", page: "job", title: "Job", load: () => import("./pages/job/Page.svelte") },
  {
    pattern: "/chat",
    page: "chat",
    title: "Chat",
    for: "users",
    stays: true,
    load: () => import("./pages/chat/Page.svelte"),
  },
  {
    pattern: "/chat/:room",
    page: "chat",
    title: "Chat",
    for: "users",
    stays: true,
    load: () => import("./pages/chat/Page.svelte"),
  },
  {
    pattern: "/notifications",
    page: "notifications",
    title: "Notifications",
    for: "users",
    load: () => import("./pages/notifications/Page.svelte"),
  },
  { pattern: "/me", page: "me", title: "Profile", for: "users", load: () => import("./pages/me/Page.svelte") },
  { pattern: "/users/:id", page: "user", title: "Profile", load: () => import("./pages/user/Page.svelte") },
  {
    pattern: "/my/bids",
    page: "my-bids",
    title: "My bids",
    for: "users",
    load: () => import("./pages/my-bids/Page.svelte"),
  },
  {
    pattern: "/my/jobs",
    page: "my-jobs",
    title: "My jobs",
    for: "users",
    load: () => import("./pages/my-jobs/Page.svelte"),
  },
  { pattern: "/ops", page: "ops", title: "Operations", for: "admins", load: () => import("./pages/ops/Page.svelte") },
  { pattern: "/sign-in", page: "sign-in", title: "Sign in", load: () => import("./pages/sign-in/Page.svelte") },
  { pattern: "/register", page: "register", title: "Register", load: () => import("./pages/register/Page.svelte") },
];

/** The route that a path belongs to; the one for unknown paths if there is none. */
export function match(path: string): Match {
  const segments = split(path);
  for (const route of ROUTES) {
    const params = matchSegments(split(route.pattern), segments);
    if (params !== undefined) return { route, params };
  }
  return { route: MISSING, params: {} };
}

const split = (path: string) => path.split("/").filter((segment) => segment !== "");

function matchSegments(pattern: string[], segments: string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (expected.startsWith(":")) {
      try {
        params[expected.slice(1)] = decodeURIComponent(segment);
      } catch {
        return undefined;
      }
    } else if (expected !== segment) return undefined;
  }
  return params;
}
