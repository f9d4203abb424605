import type { Message, Outbox } from "@rialto/client";
import { expect, test } from "vitest";
import { Outgoing } from "$lib/rooms/outgoing.svelte";

const outbox = { push: () => new Promise(() => {}), pending: [] } as unknown as Outbox;
const message: Message = { room: "r1", text: "Hello" };
const SENT = { seq: 7 } as Parameters<Outgoing["wasSent"]>[1];

test.each<[string, ((outgoing: Outgoing) => void)[]]>([
  [
    "the ack comes before the room has it",
    [(it) => it.wasSent(message, SENT), (it) => it.arrived("r1", 7, "Hello", undefined), (it) => it.shown("r1", 7)],
  ],
  [
    "the room has it before the ack comes",
    [(it) => it.arrived("r1", 7, "Hello", undefined), (it) => it.shown("r1", 7), (it) => it.wasSent(message, SENT)],
  ],
  ["the room was opened with it", [(it) => it.shown("r1", 9), (it) => it.wasSent(message, SENT)]],
])("a message is on its way until it is in the room: %s", (_, steps) => {
  const outgoing = new Outgoing(() => "u1");
  outgoing.push(outbox, message);
  expect(outgoing.departing.map((one) => one.message)).toEqual([message]);
  for (const step of steps) step(outgoing);
  expect(outgoing.departing).toEqual([]);
});

test("what another room has says nothing of it", () => {
  const outgoing = new Outgoing(() => "u1");
  outgoing.push(outbox, message);
  outgoing.shown("r2", 9);
  outgoing.wasSent(message, SENT);
  expect(outgoing.departing.map(({ seq }) => seq)).toEqual([7]);
});
