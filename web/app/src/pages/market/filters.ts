import { parseMoney } from "$lib/money";

/** The market's filters as the address has them: words, and amounts as they were typed. */
export interface Filters {
  q: string;
  status: "open" | "decided" | "all";
  category: string;
  skills: string;
  min: string;
  max: string;
  currency: string;
  /** `lat,lng` */
  near: string;
  radius: string;
  sort: string;
  view: "list" | "map";
}

export const NONE: Filters = {
  q: "",
  status: "open",
  category: "",
  skills: "",
  min: "",
  max: "",
  currency: "EUR",
  near: "",
  radius: "100",
  sort: "",
  view: "list",
};

const STATUSES: Record<Filters["status"], string> = {
  open: "open",
  decided: "closed,awarded,in_progress,completed",
  all: "",
};

export const SORTS: readonly { value: string; text: string; needs?: "q" | "near" }[] = [
  { value: "relevance", text: "Best match", needs: "q" },
  { value: "distance", text: "Nearest", needs: "near" },
  { value: "ending", text: "Closing soonest" },
  { value: "newest", text: "Newest" },
  { value: "-budget", text: "Highest budget" },
  { value: "budget", text: "Lowest budget" },
  { value: "popular", text: "Most viewed" },
];

/** What the list is sorted by when nobody has said it. */
export function usualSort({ q, near, status }: Filters): string {
  if (q) return "relevance";
  if (near) return "distance";
  return status === "open" ? "ending" : "newest";
}

/** The orders that these filters allow. */
export function sortsFor(filters: Filters): typeof SORTS {
  return SORTS.filter(({ needs }) => needs === undefined || (filters[needs] && !(needs === "near" && filters.q)));
}

export function fromQuery(query: URLSearchParams): Filters {
  const filters: Filters = { ...NONE };
  for (const name of Object.keys(NONE) as (keyof Filters)[]) {
    const value = query.get(name)?.trim();
    if (value) Object.assign(filters, { [name]: value });
  }
  if (!(filters.status in STATUSES)) filters.status = NONE.status;
  if (!/^-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?$/.test(filters.near)) filters.near = "";
  if (!/^[A-Z]{3}$/.test(filters.currency)) filters.currency = NONE.currency;
  if (!(Number(filters.radius) > 0 && Number(filters.radius) <= 20_000)) filters.radius = NONE.radius;
  if (filters.view !== "map") filters.view = "list";
  if (!sortsFor(filters).some(({ value }) => value === filters.sort)) filters.sort = "";
  return filters;
}

/** For the address: without what is usual. */
export function toQuery(filters: Partial<Filters>): Record<string, string | undefined> {
  const query: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(filters) as [keyof Filters, string][])
    query[name] = value === NONE[name] ? undefined : value;
  return query;
}

/** The call that fetches such jobs, without paging. */
export function jobsPath(filters: Filters): string {
  const { q, category, skills, currency, near, radius } = filters;
  const query = new URLSearchParams();
  const set = (name: string, value: string | undefined) => value && query.set(name, value);
  set("q", q.slice(0, 200));
  set("status", STATUSES[filters.status]);
  set("category", category.toLowerCase());
  set("skills", list(skills).slice(0, 10).join(","));
  const min = parseMoney(filters.min, currency);
  const max = parseMoney(filters.max, currency);
  if (min !== undefined || max !== undefined) set("currency", currency);
  set("min_budget", min?.toString());
  set("max_budget", max?.toString());
  if (near) {
    set("near", near);
    set("radius_km", radius);
  }
  set("sort", filters.sort || usualSort(filters));
  return `/jobs?${query.toString()}`;
}

/** How many filters besides search and order narrow the list. */
export function countNarrowing(filters: Filters): number {
  const { status, category, skills, min, max, near } = filters;
  return [status !== NONE.status, category, skills, min || max, near].filter(Boolean).length;
}

export const list = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter(Boolean);
