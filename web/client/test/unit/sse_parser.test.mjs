import assert from "node:assert/strict";
import { it } from "node:test";

import { EventParser } from "../../dist/sse_parser.js";

it("finds the same events wherever the text is cut", () => {
  const text =
    'retry: 2000\n\nid: 1\ndata: {"a":1}\n\n: still here\n\nid: 2\r\ndata: x\r\ndata: y\r\n\r\ndata\r\rdata:z\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const parser = new EventParser();
    const events = [...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))];
    assert.deepEqual(events, ['{"a":1}', "x\ny", "", "z"], `cut at ${cut}`);
  }
});
