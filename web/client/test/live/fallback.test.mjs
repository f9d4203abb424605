// Networks in which not everything works: the client finds what does by itself.

import assert from "node:assert/strict";
import { it } from "node:test";

import { A, eventually, person } from "../../../../tests/js/market.mjs";
import { clientOf, market, range, read, seqs } from "./people.mjs";
import { Road } from "./road.mjs";

async function followed(client, { stream, bid, auction, lower }) {
  const subscription = client.subscribe(stream, { after: 0 });
  await read(subscription, 1);
  await bid();
  assert.deepEqual(seqs(await read(subscription, 1)), [2]);
  assert.equal((await client.bid({ auction, amount: lower() })).seq, 3);
  assert.deepEqual(seqs(await read(subscription, 1)), [3]);
  return subscription;
}

it("takes WebSocket where it works", async () => {
  const made = await market();
  const client = clientOf(await person("freelancer"));
  await followed(client, made);
  assert.deepEqual([client.way, client.transport], ["socket", "websocket"]);
});

it("polls where WebSocket is blocked", async () => {
  const made = await market();
  const road = await Road.to(A);
  road.blocked = /^GET \/socket\.io\/\S*transport=websocket/;
  const client = clientOf(await person("freelancer"), { url: road.url });
  await followed(client, made);
  assert.deepEqual([client.way, client.transport], ["socket", "polling"]);
});

it("takes Server-Sent Events where sockets are blocked, and goes back when they are not any more", async () => {
  const made = await market();
  const road = await Road.to(A);
  road.blocked = /^(GET|POST) \/socket\.io\//;
  const client = clientOf(await person("freelancer"), { url: road.url });
  const subscription = await followed(client, made);
  assert.equal(client.way, "sse");
  road.blocked = /(?!)/;
  await eventually(() => client.way === "socket", 60_000);
  await made.bid();
  await made.bid();
  assert.deepEqual(seqs(await read(subscription, 2)), range(4, 5));
});

it("takes long polls where nothing comes bit by bit", async () => {
  const made = await market();
  const road = await Road.to(A);
  road.blocked = /^(GET|POST) \/socket\.io\//;
  // As in React Native, whose fetch has answers without a body that could be read.
  const whole = async (...call) => {
    const response = await fetch(...call);
    Object.defineProperty(response, "body", { value: undefined });
    return response;
  };
  const client = clientOf(await person("freelancer"), { url: road.url, fetch: whole });
  await followed(client, made);
  assert.equal(client.way, "longpoll");
});
