import type { RoomEvent, Schemas } from "@rialto/client";

/** A message as it is now. */
export type Item = Pick<Schemas["MessageItem"], "seq" | "t" | "id" | "user" | "text"> &
  Partial<Pick<Schemas["MessageItem"], "reply_to" | "mentions" | "edited_at" | "reactions" | "deleted">>;

type Member = Schemas["RoomMember"];

/** What a room and a line of the list of rooms have in common. */
export interface Outline {
  members: Member[];
  me: string | null;
  seq: number;
  aliases?: Record<string, string> | null;
}

/** Messages after an event; the same list if it changes none of them. */
export function foldItems(items: readonly Item[], event: RoomEvent): readonly Item[] {
  switch (event.type) {
    case "message": {
      if (items.some(({ seq }) => seq === event.seq)) return items;
      const { seq, t, id, user, text, reply_to, mentions } = event;
      return [...items, { seq, t, id, user, text, ...(reply_to && { reply_to }), ...(mentions && { mentions }) }];
    }
    case "edited":
      return change(items, event.message, (item) => ({
        ...item,
        text: event.text,
        mentions: event.mentions ?? null,
        edited_at: event.t,
      }));
    case "deleted":
      return change(items, event.message, (item) => ({
        ...item,
        text: "",
        mentions: null,
        reactions: null,
        deleted: event.by,
      }));
    case "reaction":
      return change(items, event.message, (item) => ({ ...item, reactions: react(item.reactions ?? [], event) }));
    case "revealed":
      return items.map((item) => renamed(item, event.members));
    default:
      return items;
  }
}

/** A room's members and last seq after an event. */
export function foldOutline<R extends Outline>(room: R, event: RoomEvent): R {
  return { ...room, ...outline(room, event), seq: event.seq };
}

function outline(room: Outline, event: RoomEvent): Partial<Outline> {
  switch (event.type) {
    case "member_added": {
      const others = room.members.filter(({ user }) => user !== event.user);
      return { members: [...others, { user: event.user, role: event.role ?? null, name: null }] };
    }
    case "member_removed":
      return { members: room.members.filter(({ user }) => user !== event.user) };
    case "revealed": {
      const now = (name: string) => event.members[name] ?? name;
      return {
        members: room.members.map((member) => ({ ...member, user: now(member.user) })),
        me: room.me && now(room.me),
        aliases: { ...room.aliases, ...event.members },
      };
    }
    default:
      return {};
  }
}

function change(items: readonly Item[], seq: number, to: (item: Item) => Item): readonly Item[] {
  return items.map((item) => (item.seq === seq ? to(item) : item));
}

type Reactions = Schemas["Reaction"][];
type Reacted = Extract<RoomEvent, { type: "reaction" }>;

function react(reactions: Reactions, { emoji, on, user }: Reacted): Reactions {
  const known = reactions.some((one) => one.emoji === emoji);
  const all = on && !known ? [...reactions, { emoji, users: [] }] : reactions;
  return all
    .map((one) => {
      if (one.emoji !== emoji) return one;
      const others = one.users.filter((name) => name !== user);
      return { emoji, users: on ? [...others, user] : others };
    })
    .filter(({ users }) => users.length > 0);
}

/** With the names that people go by once an auction is over. */
function renamed(item: Item, names: Record<string, string>): Item {
  const now = (name: string) => names[name] ?? name;
  return {
    ...item,
    user: now(item.user),
    mentions: item.mentions?.map(now) ?? null,
    reactions: item.reactions?.map(({ emoji, users }) => ({ emoji, users: users.map(now) })) ?? null,
  };
}
