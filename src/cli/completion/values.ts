import { setTimeout as sleep } from "node:timers/promises";

import type { Settings } from "../../config/settings.ts";

/** What a shell can complete besides actions and options. */
export const VALUE_KINDS = ["shards", "islands", "workflows"] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

/** Somebody waits for this between two keys. */
const DEADLINE_MS = 1000;

/**
 * Returns the numbers of the active shards, the names of the islands, or the ids of the running workflows; nothing if
 * they cannot be had in time. An error would be written into the command line that is being typed.
 */
export async function completionValues(
  kind: ValueKind,
  load: () => Promise<{ settings: Settings }>,
): Promise<string[]> {
  const found = load().then(({ settings }) => READERS[kind](settings));
  const late = sleep(DEADLINE_MS, [], { ref: false });
  return Promise.race([found, late]).catch(() => []);
}

const READERS: Record<ValueKind, (settings: Settings) => Promise<string[]>> = {
  async shards(settings) {
    const { list } = await import("../../operations/list.ts");
    // Weights are of no use here, and their query may be slow.
    const { islands } = await list({ ...settings, weightSql: undefined });
    const numbers = islands.flatMap(({ shards }) => shards.map(({ no }) => no));
    return numbers.sort((a, b) => a - b).map(String);
  },
  // Without users and passwords.
  islands: ({ dsns }) => Promise.resolve([...new Set(dsns.map(({ name }) => name))]),
  async workflows({ env }) {
    const { connectClient, existingTarget } = await import("../../temporal/connection.ts");
    const { runningIds } = await import("../../operations/steer.ts");
    const target = await existingTarget(env);
    if (!target) return [];
    const temporal = await connectClient(target, env, () => undefined);
    try {
      return await runningIds(temporal);
    } finally {
      await temporal.close();
    }
  },
};
