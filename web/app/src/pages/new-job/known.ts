import type { Schemas } from "@rialto/client";
import { rest } from "$lib/market.svelte";

export interface Known {
  categories: string[];
  skills: string[];
}

/** The words that recent jobs use, to be suggested: the same words are found together. */
export async function fetchKnown(signal: AbortSignal): Promise<Known> {
  const { items } = await rest<{ items: Schemas["JobOut"][] }>("GET", "/jobs?limit=100", { signal });
  const sorted = (words: string[]) => [...new Set(words)].sort((one, other) => one.localeCompare(other));
  return {
    categories: sorted(items.map(({ category }) => category)),
    skills: sorted(items.flatMap(({ skills }) => skills)),
  };
}
