import { RialtoError, type Schemas } from "@rialto/client";
import { SvelteMap } from "svelte/reactivity";
import { rest } from "$lib/market.svelte";
import { offline } from "$lib/offline.svelte";
import type { Outline } from "./fold";
import { isPseudonym, nameIn } from "./names";

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

  /** What a member of a room is shown as; a name that the room doesn't carry is asked for. */
  nameIn(room: Outline, user: string): string {
    const carried = room.members.find((one) => one.user === user)?.name;
    if (!carried && !isPseudonym(user)) this.name(user);
    return nameIn(room, user, this.names);
  }

  private ask<T>(path: string, take: (found: T) => void): void {
    void offline.returns; // what was out of reach is asked for again
    if (this.asked.has(path)) return;
    this.asked.add(path);
    // What can't be had is shown without.
    rest<T>("GET", path).then(take, (error) => {
      if (error instanceof RialtoError && error.code === "DISCONNECTED") this.asked.delete(path);
    });
  }
}

export const lookups = new Lookups();
