import type { Schemas } from "@rialto/client";
import { SvelteMap } from "svelte/reactivity";
import { rest } from "$lib/market.svelte";

/** Names that rooms don't carry: titles of jobs, names of people who have left. Each is asked for once. */
class Lookups {
  readonly titles = new SvelteMap<string, string>();
  readonly names = new SvelteMap<string, string>();
  private readonly asked = new Set<string>();

  /** The title of a job; undefined while it isn't known. */
  title(job: string): string | undefined {
    this.ask(`/jobs/${encodeURIComponent(job)}`, (found: Schemas["JobOut"]) => this.titles.set(job, found.title));
    return this.titles.get(job);
  }

  /** The name of a profile; undefined while it isn't known. */
  name(user: string): string | undefined {
    this.ask(`/users/${encodeURIComponent(user)}`, (found: { name: string }) => this.names.set(user, found.name));
    return this.names.get(user);
  }

  private ask<T>(path: string, take: (found: T) => void): void {
    if (this.asked.has(path)) return;
    this.asked.add(path);
    // What can't be had is shown without.
    rest<T>("GET", path).then(take, () => {});
  }
}

export const lookups = new Lookups();
