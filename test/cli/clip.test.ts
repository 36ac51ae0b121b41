import assert from "node:assert/strict";
import { it } from "node:test";

import pc from "picocolors";
import stringWidth from "string-width";

import { clip } from "../../src/cli/view/clip.ts";

const { red } = pc.createColors(true);

it("a line of the live view is cut to the width of the terminal, whatever characters and colors it has", () => {
  assert.equal(clip("abcdef", 6), "abcdef");
  assert.equal(clip("abcdefg", 6), "abcde…");
  assert.equal(clip("日本語日本語", 6), "日本…");
  assert.equal(clip(`ab${red("cdefgh")}ij`, 6), `ab${red("cde…")}`);
  assert.equal(clip(`abcde${red("f")}g`, 6), `abcde${red("…")}`);
  for (let columns = 1; columns < 20; columns++) {
    assert.ok(stringWidth(clip(`${red("é日👩‍👩‍👧 of ")}many letters 日本語`, columns)) <= columns);
  }
});

it("a line of the live view cannot move the cursor", () => {
  assert.equal(clip("a\tb\r\nc\x1b[2Jd", 20), "a b  c [2Jd");
});
