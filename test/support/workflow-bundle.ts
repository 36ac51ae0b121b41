import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const WORKFLOWS = fileURLToPath(new URL("../../workflows", import.meta.url));

/** Bundles the workflows with one of their constants changed, and returns the file. */
export async function bundleWith(constant: string, value: string): Promise<string> {
  const parts = readFileSync(await bundleWorkflows(), "utf8").split(constant);
  if (parts.length !== 2) throw new Error(`The workflows have ${constant} ${parts.length - 1} times.`);
  const path = join(tmpdir(), `shardferry-workflows-${process.pid}.js`);
  writeFileSync(path, parts.join(value));
  process.once("exit", () => rmSync(path, { force: true }));
  return path;
}

/** Bundles the workflows once for all workers of a run (it takes seconds), and returns the file. */
export async function bundleWorkflows(): Promise<string> {
  const sources = readdirSync(WORKFLOWS).map((name) => readFileSync(join(WORKFLOWS, name), "utf8"));
  const hash = createHash("sha256").update(sources.join("\0")).digest("hex").slice(0, 16);
  const path = join(tmpdir(), `shardferry-workflows-${hash}.js`);
  if (existsSync(path)) return path;
  // Takes half a second to load, and most callers already have the bundle.
  const { bundleWorkflowCode, DefaultLogger } = await import("@temporalio/worker");
  const workflowsPath = join(WORKFLOWS, "index.ts");
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger("ERROR") });
  writeFileSync(`${path}.${process.pid}`, code);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}
