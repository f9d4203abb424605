// A newer token on a live socket, with the official client. See tests/server/realtime/test_reauthenticate.py. The token `first` ends
// within seconds, `next` is of another login of the same user, `bob` another user's.

import assert from "node:assert/strict";
import { it } from "node:test";

import { TRANSPORTS, command, connect, disconnected } from "./client.mjs";

const url = process.env.MARKET_URL;
const tokens = JSON.parse(process.env.MARKET_TOKENS);

it("goes on past the end of the first token, over every transport", async () => {
  const all = Object.keys(TRANSPORTS);
  const enter = (transport) => connect(url, "/market", { transport, token: tokens.first });
  const [careless, careful] = [await Promise.all(all.map(enter)), await Promise.all(all.map(enter))];
  for (const socket of careful) {
    const refused = await command(socket, "reauthenticate", { token: tokens.bob });
    assert.equal(refused.error.code, "FORBIDDEN");
    const answer = await command(socket, "reauthenticate", { token: tokens.next });
    assert.ok(answer.ok && answer.expires_in > 60, JSON.stringify(answer));
  }
  for (const reason of await Promise.all(careless.map(disconnected))) assert.match(reason, /^transport (close|error)$|^already$/);
  for (const socket of careful) {
    assert.ok(socket.connected);
    assert.ok((await command(socket, "note", {})).ok);
    socket.close();
  }
  await assert.rejects(connect(url, "/market", { token: tokens.first }), { message: "UNAUTHENTICATED" });
});
