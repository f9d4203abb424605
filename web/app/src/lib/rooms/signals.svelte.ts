import { SvelteMap } from "svelte/reactivity";
import { client } from "$lib/market.svelte";

export interface Presence {
  online: boolean;
  last_seen: string | null;
}

/** A little longer than the server remembers that somebody types. */
const FORGET_TYPING_MS = 6000;

/** Who is there and who types, of all rooms that are watched. It comes over sockets only, and may be lost. */
export class People {
  readonly presence = new SvelteMap<string, Presence>();
  private readonly typing = new SvelteMap<string, readonly string[]>();
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** Listens until the returned function is called. */
  follow(): () => void {
    const stops = [
      client.on("presence", ({ user, online, last_seen }) => this.presence.set(user, { online, last_seen })),
      client.on("typing", ({ room, user, on }) => this.types(room, user, on)),
    ];
    return () => {
      for (const stop of stops) stop();
      for (const timer of this.timers.values()) clearTimeout(timer);
    };
  }

  /** Who types in a room, as the room names them. */
  typists(room: string): readonly string[] {
    return this.typing.get(room) ?? [];
  }

  /** Somebody has said something, or types no more. */
  types(room: string, user: string, on: boolean): void {
    const key = `${room} ${user}`;
    clearTimeout(this.timers.get(key));
    const others = this.typists(room).filter((one) => one !== user);
    this.typing.set(room, on ? [...others, user] : others);
    if (on)
      this.timers.set(
        key,
        setTimeout(() => this.types(room, user, false), FORGET_TYPING_MS),
      );
  }
}
