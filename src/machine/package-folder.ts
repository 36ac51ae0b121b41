import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The folder of this package, with bin/ and sql/ in it. It is above src/ in a checkout and above dist/src/ in a build;
 * how deep a file lies depends on what was bundled with it.
 */
export function packageFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, "bin", "shardferry"))) return folder;
  throw new Error(`${here} is not in a folder of Shardferry: bin/shardferry is missing above it`);
}

/** The executable: the one that runs, or that of the package when this is used as a library. */
export function launcher(): string {
  const running = process.argv[1] ?? "";
  return /shardferry$/.test(running) ? running : join(packageFolder(), "bin", "shardferry");
}
