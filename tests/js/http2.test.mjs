// HTTP/2 at the proxy; see tests/cluster/test_cluster.py.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { it } from "node:test";

import { A } from "./market.mjs";

it("carries many requests on one connection", async () => {
  const session = http2.connect(A);
  const ask = (path) =>
    new Promise((resolve, reject) => {
      const request = session.request({ ":path": path });
      const answer = { headers: {}, text: "" };
      request.setEncoding("utf8");
      request.on("response", (headers) => (answer.headers = headers));
      request.on("data", (chunk) => (answer.text += chunk));
      request.on("end", () => resolve(answer));
      request.on("error", reject);
      request.end();
    });
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => ask(`/api/v1/jobs?limit=${n + 1}`)));
  assert.equal(session.alpnProtocol, "h2");
  for (const { headers, text } of answers) {
    assert.equal(headers[":status"], 200);
    assert.ok(Array.isArray(JSON.parse(text).items));
  }
  assert.equal(new Set(answers.map(({ headers }) => headers["x-request-id"])).size, 100);
  assert.equal((await ask("/metrics")).headers[":status"], 404);
  session.close();
});
