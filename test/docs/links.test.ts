import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";

import { documents, relativeLinks, ROOT } from "./documents.ts";

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
    for (const target of relativeLinks(text)) {
      checked++;
      const [file, anchor] = target.split("#");
      const absolute = file === "" ? join(ROOT, path) : join(ROOT, dirname(path), file!);
      if (!existsSync(absolute)) dead.push(`${path}: ${target}`);
      else if (anchor && statSync(absolute).isFile() && !anchors(readFileSync(absolute, "utf8")).has(anchor))
        dead.push(`${path}: ${target}`);
    }
  }
  assert.deepEqual(dead, []);
  assert.ok(checked > 30, `only ${checked} links found`);
});
