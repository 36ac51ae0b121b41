import assert from "node:assert/strict";
import { it } from "node:test";

import { shortNames } from "../../src/short-names.ts";

it("islands are shortened to what differs between them, and stay different", () => {
  const cases: [names: string[], short: string[]][] = [
    [
      ["127.0.0.1:15471/app", "127.0.0.1:15472/app"],
      [":15471", ":15472"],
    ],
    [
      ["db1.eu.example.com:5432/app", "db2.eu.example.com:5432/app"],
      ["db1", "db2"],
    ],
    [
      ["db1.eu.example.com", "db1.us.example.com"],
      ["db1.eu", "db1.us"],
    ],
    [
      ["10.0.0.1:5432/a", "10.1.0.1:5432/a"],
      ["10.0.0.1", "10.1.0.1"],
    ],
    [
      ["[::1]:5432/app", "[::2]:5432/app"],
      ["[::1]", "[::2]"],
    ],
    [
      ["db1/a", "db1/b"],
      ["/a", "/b"],
    ],
    [
      ["db1", "db1:5433"],
      ["db1", "db1:5433"],
    ],
    [
      ["a.x/app", "b.x/app", "a.y/app"],
      ["a.x", "b.x", "a.y"],
    ],
    [
      ["db1/app", "db1/app"],
      ["db1/app", "db1/app"],
    ],
  ];
  for (const [names, short] of cases) assert.deepEqual(names.map(shortNames(names)), short);
});
