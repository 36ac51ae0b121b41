import assert from "node:assert/strict";
import { it } from "node:test";

import { ShardferryError } from "../../src/errors.ts";
import { explainGone } from "../../src/watch/outcome.ts";

it("the loss of Temporal during a command is explained, with what to do; other errors stay as they are", () => {
  const refused = Object.assign(new Error("14 UNAVAILABLE: connection refused"), { code: 14 });
  const gone = [
    new Error("Failed to describe workflow", { cause: refused }),
    new Error("tonic::transport::Error(Transport, ConnectError)"),
  ];
  for (const error of gone) {
    const explained = explainGone(error) as ShardferryError;
    assert.equal(explained.code, "temporal_unreachable");
    assert.match(explained.message, /run the same command again/);
  }
  for (const error of [new Error("other"), new ShardferryError("refused", "no"), "text"])
    assert.equal(explainGone(error), error);
});
