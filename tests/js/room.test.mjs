// Official clients in a room with somebody who sends what it can; see tests/server/realtime/test_mixed_transports.py.

import assert from "node:assert/strict";
import { it } from "node:test";

import { open, settled, TRANSPORTS } from "./client.mjs";

const { MARKET_URL, ROOM_WORDS } = process.env;
const expected = Array.from({ length: Number(ROOM_WORDS) }, (_, index) => index);

/** The words that a client hears until the last of them, or until it is disconnected. */
async function listen(transport) {
  const socket = open(MARKET_URL, "/room", { transport });
  const words = [];
  const over = new Promise((resolve) => {
    socket.on("disconnect", resolve);
    socket.on("said", (_number, kind, word) => {
      if (kind === "word" && words.push(word) === expected.length) resolve();
    });
  });
  await settled(socket);
  await over;
  socket.close();
  return words;
}

it("hears every word over every transport", async () => {
  const heard = await Promise.all(Object.keys(TRANSPORTS).map(listen));
  assert.deepEqual(heard, [expected, expected, expected]);
  assert.equal({}.polluted, undefined);
});
