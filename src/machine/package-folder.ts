import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Returns the folder of this package, which contains bin/ and sql/. It is above src/ in a checkout and above dist/src/ in
 * a build; how deep a file is depends on what it was bundled with.
 */
export function packageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, "bin", "shardferry"))) return folder;
  throw new Error(`${here} is not in a folder of Shardferry: bin/shardferry is missing above it`);
}

/** Returns the version of this package. */
export function packageVersion(): string {
  const text = readFileSync(join(packageFolder(), "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** Returns the executable: the running one, or that of the package if this is used as a library. */
export function launcher(): string {
  const running = process.argv[1] ?? "";
  return /shardferry$/.test(running) ? running : join(packageFolder(), "bin", "shardferry");
}
