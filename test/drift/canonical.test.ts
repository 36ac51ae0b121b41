import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { canonicalizer } from "../../src/drift/canonical.ts";

/** How 15 and 16 deparse the same view: from 16 on, the qualifier is omitted if a FROM has only one item. */
const SAME: [string, string][] = [
  ["SELECT t.id FROM t", "SELECT id FROM t"],
  ["SELECT s.a FROM (SELECT t.id AS a FROM t) s", "SELECT a FROM (SELECT id AS a FROM t) s"],
  ["SELECT f.n FROM generate_series(1, 3) f(n)", "SELECT n FROM generate_series(1, 3) f(n)"],
  ["SELECT v.x FROM (VALUES (1), (2)) v(x)", "SELECT x FROM (VALUES (1), (2)) v(x)"],
];

const DIFFERENT: [string, string][] = [
  ["SELECT t.id FROM t", "SELECT u.id FROM t u JOIN t ON true"],
  ["SELECT a.id FROM t a JOIN t b ON true", "SELECT b.id FROM t a JOIN t b ON true"],
  ["SELECT j.id FROM (t a JOIN t b USING (id)) j", "SELECT id FROM (t a JOIN t b USING (id))"],
];

describe("the meaning of a deparsed view", () => {
  it("is the same with and without the name of the only item of its FROM", async () => {
    const canonical = await canonicalizer();
    for (const [one, other] of SAME) assert.equal(canonical(one), canonical(other), one);
  });

  it("is not the same if several items have such a column", async () => {
    const canonical = await canonicalizer();
    for (const [one, other] of DIFFERENT) assert.notEqual(canonical(one), canonical(other), one);
  });
});
