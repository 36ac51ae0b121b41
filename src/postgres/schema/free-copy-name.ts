import type { ClientBase } from "pg";

import { type CopyKind, copyName } from "./copy-names.ts";
import { readSchema } from "./tables.ts";

/**
 * Finds a free name for a copy that was requested at a given time. The names contain whole seconds: if that second is
 * taken, the next ones are tried. `taken` is the last taken name before the free one, if there is any.
 */
export async function findCopyName(
  client: ClientBase,
  schema: string,
  kind: CopyKind,
  at: Date,
): Promise<{ free: string; taken: string | null }> {
  let taken: string | null = null;
  for (let second = 0; ; second++) {
    const name = copyName(schema, kind, new Date(at.getTime() + 1000 * second));
    const { exists } = await readSchema(client, name);
    if (!exists) return { free: name, taken };
    taken = name;
  }
}
