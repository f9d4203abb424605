import { lookups } from "./lookups.svelte";
import { otherIn } from "./names";

type Titled = Parameters<typeof otherIn>[0] & { job?: string | null };

/** What a room is called: the other one's name, or the job's title; undefined while it isn't known. */
export function titleOf(room: Titled): string | undefined {
  if (room.kind === "dm") {
    const other = otherIn(room);
    return other ? (other.name ?? other.user) : "Somebody who has left";
  }
  if (room.kind === "contract") return "Contract";
  return room.job ? lookups.title(room.job) : undefined;
}
