import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { ROOT } from "./documents.ts";

test("the picture in the README is small and self-contained, and shows the end of a move without loss", () => {
  const svg = readFileSync(join(ROOT, "docs/pictures/move.svg"), "utf8");
  assert.ok(svg.length < 200_000);
  assert.deepEqual(svg.match(/https?:[^"]*/g), ["http://www.w3.org/2000/svg"]);
  assert.doesNotMatch(svg, /127\.0\.0\.1|localhost|\/(root|home|Users)\//);
  assert.match(svg, /Moved sh0001 from db1\.internal\/shop to db2\.internal\/shop/);
  assert.match(svg, /writes acknowledged to the application: 0 lost, 0 doubled, 0 failed/);
});
