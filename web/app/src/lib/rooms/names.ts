import type { Schemas } from "@rialto/client";
import type { Outline } from "./fold";

interface Named extends Outline {
  kind: Schemas["RoomView"]["kind"];
}

/** What a member is shown as: the name of the profile, or the pseudonym of the room. */
export function nameIn(room: Outline, user: string, others: ReadonlyMap<string, string> = new Map()): string {
  const member = room.members.find((one) => one.user === user);
  if (member?.name) return member.name;
  const known = others.get(user);
  if (known) return known;
  if (isPseudonym(user)) return user;
  return member ? "Somebody" : "Somebody who has left"; // events of those who come don't tell names
}

/** The other one in a room of two. */
export function otherIn(room: Named): Schemas["RoomMember"] | undefined {
  return room.kind === "dm" ? room.members.find(({ user }) => user !== room.me) : undefined;
}

export const isPseudonym = (user: string): boolean => user.includes(" ");

export interface Piece {
  text: string;
  /** Who is mentioned by it. */
  user?: string;
}

/** A text in pieces, those that mention a member by `@name` set apart. */
export function pieces(text: string, mentioned: readonly { user: string; name: string }[]): Piece[] {
  const marks = mentioned.flatMap(({ user, name }) => [
    { user, mark: `@${name}`, shown: `@${name}` },
    { user, mark: `@${user}`, shown: `@${name}` },
  ]);
  const found: Piece[] = [];
  let rest = text;
  while (rest !== "") {
    let first: { at: number; user: string; mark: string; shown: string } | undefined;
    for (const each of marks) {
      const at = rest.indexOf(each.mark);
      const nearer = first === undefined || at < first.at || (at === first.at && each.mark.length > first.mark.length);
      if (at >= 0 && nearer) first = { at, ...each };
    }
    if (first === undefined) break;
    if (first.at > 0) found.push({ text: rest.slice(0, first.at) });
    found.push({ text: first.shown, user: first.user });
    rest = rest.slice(first.at + first.mark.length);
  }
  if (rest !== "") found.push({ text: rest });
  return found;
}

/** Of those who can be mentioned, whose name stands behind an `@` in a text. */
export function mentionedIn(text: string, people: readonly { user: string; name: string }[]): string[] {
  return pieces(text, people)
    .map(({ user }) => user)
    .filter((user, place, all): user is string => user !== undefined && all.indexOf(user) === place);
}
