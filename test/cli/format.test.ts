import assert from "node:assert/strict";
import { it } from "node:test";

import { bytes, duration } from "../../src/format.ts";

it("sizes have three digits and a unit for powers of 1024", () => {
  const shown = [0, 999, 1023, 2048, 10.5 * 1024, 1000 * 1024, 512 * 1024 ** 2, 3 * 1024 ** 4].map(bytes);
  assert.deepEqual(shown, [
    ...["0 B", "999 B", "1023 B", "2 KiB"],
    ...["10.5 KiB", "1000 KiB", "512 MiB", "3 TiB"],
  ]);
});

it("times have a space before their unit, as in every message", () => {
  const shown = [0, 250, 9_990, 12_345, 65_400, 3_599_400, 7_400_000].map(duration);
  assert.deepEqual(shown, ["0.00 s", "0.25 s", "9.99 s", "12.3 s", "1 min 5 s", "59 min 59 s", "2 h 3 min"]);
});
