import type { RoomEvent } from "@rialto/client";
import { describe, expect, it } from "vitest";
import { foldItems, foldOutline, type Item } from "$lib/rooms/fold";
import { group } from "$lib/rooms/group";
import { mentionedIn, nameIn, otherIn, pieces } from "$lib/rooms/names";

const T = "2026-11-21T10:00:00.000Z";
const said = (seq: number, user = "ann", t = T): RoomEvent => ({
  seq,
  t,
  type: "message",
  id: `m${seq}`,
  user,
  text: `words ${seq}`,
});
const items = (...events: RoomEvent[]) => events.reduce<readonly Item[]>(foldItems, []);

describe("messages", () => {
  it("come once, and change", () => {
    const all = items(
      said(1),
      said(2),
      said(2),
      { seq: 3, t: T, type: "edited", message: 1, user: "ann", text: "other words", mentions: ["bob"] },
      { seq: 4, t: T, type: "reaction", message: 1, emoji: "👍", on: true, user: "bob" },
      { seq: 5, t: T, type: "reaction", message: 1, emoji: "👍", on: true, user: "bob" },
      { seq: 6, t: T, type: "reaction", message: 1, emoji: "👍", on: true, user: "ann" },
      { seq: 7, t: T, type: "reaction", message: 1, emoji: "👍", on: false, user: "bob" },
      { seq: 8, t: T, type: "deleted", message: 2, by: "moderator" },
    );
    expect(all).toHaveLength(2);
    expect(all[0]).toMatchObject({ text: "other words", edited_at: T, mentions: ["bob"] });
    expect(all[0]?.reactions).toEqual([{ emoji: "👍", users: ["ann"] }]);
    expect(all[1]).toMatchObject({ text: "", deleted: "moderator" });
  });

  it("lose a reaction that nobody gives any more", () => {
    const [one] = items(
      said(1),
      { seq: 2, t: T, type: "reaction", message: 1, emoji: "🎉", on: true, user: "bob" },
      { seq: 3, t: T, type: "reaction", message: 1, emoji: "🎉", on: false, user: "bob" },
    );
    expect(one?.reactions).toEqual([]);
  });

  it("are their authors' under the names that these have now", () => {
    const revealed: RoomEvent = { seq: 3, t: T, type: "revealed", members: { "Guest 7k2f9q": "bob" } };
    expect(items(said(1, "Guest 7k2f9q"), said(2), revealed).map(({ user }) => user)).toEqual(["bob", "ann"]);
    const room = {
      members: [{ user: "Guest 7k2f9q", role: "freelancer", name: null }],
      me: "Guest 7k2f9q",
      seq: 2,
    };
    expect(foldOutline(room, revealed)).toMatchObject({ me: "bob", seq: 3, members: [{ user: "bob" }] });
  });
});

describe("groups", () => {
  it("begin with another day, sender, pause or the divider", () => {
    const later = "2026-11-21T10:30:00.000Z";
    const nextDay = "2026-11-23T10:00:00.000Z";
    const all = items(
      said(1),
      said(2),
      said(3, "bob"),
      said(4, "bob", later),
      said(5, "bob", later),
      said(6, "bob", nextDay),
    );
    const runs = (divider?: number) =>
      group(all, divider).map((day) => day.runs.map((run) => run.items.map(({ seq }) => seq)));
    expect(runs()).toEqual([[[1, 2], [3], [4, 5]], [[6]]]);
    expect(runs(5)).toEqual([[[1, 2], [3], [4], [5]], [[6]]]);
  });
});

describe("names", () => {
  const people = [
    { user: "u1", name: "Ann" },
    { user: "u2", name: "Ann Miller" },
  ];

  it("are found behind an @, the longest first", () => {
    expect(pieces("Hi @Ann Miller, and @u1!", people)).toEqual([
      { text: "Hi " },
      { text: "@Ann Miller", user: "u2" },
      { text: ", and " },
      { text: "@Ann", user: "u1" },
      { text: "!" },
    ]);
    expect(mentionedIn("@Ann @Ann @Ann Miller", people)).toEqual(["u1", "u2"]);
    expect(pieces("<b>@nobody</b>", people)).toEqual([{ text: "<b>@nobody</b>" }]);
  });

  it("are those of profiles, pseudonyms, or nobody's", () => {
    const room = { kind: "dm" as const, me: "u1", seq: 1, members: people.map((one) => ({ ...one, role: null })) };
    expect(nameIn(room, "u2")).toBe("Ann Miller");
    expect(nameIn(room, "Guest 7k2f9q")).toBe("Guest 7k2f9q");
    expect(nameIn(room, "gone")).toBe("Somebody who has left");
    const come = { user: "u9", role: null, name: null };
    expect(nameIn({ ...room, members: [come] }, "u9")).toBe("Somebody");
    expect(nameIn({ ...room, members: [come] }, "u9", new Map([["u9", "Cleo"]]))).toBe("Cleo");
    expect(nameIn(room, "gone", new Map([["gone", "Bob"]]))).toBe("Bob");
    expect(otherIn(room)?.user).toBe("u2");
  });
});
