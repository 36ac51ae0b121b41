import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { documents, ROOT } from "./documents.ts";

const withoutCode = (text: string): string =>
  text.replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "``");

/** Returns the anchors of a page, as GitHub derives them from the headings. */
function anchors(markdown: string): Set<string> {
  const headings = markdown.replace(/^```[^]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("no relative link or anchor in a document is broken", () => {
  const dead: string[] = [];
  let checked = 0;
  for (const { path, text } of documents()) {
    for (const [, target] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      checked++;
      const [file, anchor] = target!.split("#");
      const absolute = file === "" ? join(ROOT, path) : join(ROOT, dirname(path), file!);
      if (!existsSync(absolute)) dead.push(`${path}: ${target}`);
      else if (anchor && statSync(absolute).isFile() && !anchors(readFileSync(absolute, "utf8")).has(anchor))
        dead.push(`${path}: ${target}`);
    }
  }
  assert.deepEqual(dead, []);
  assert.ok(checked > 30, `only ${checked} links found`);
});
