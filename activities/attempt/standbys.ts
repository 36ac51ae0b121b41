import type { IslandName } from "../../contract/names.ts";
import { missingStandbys, someCommitWaits } from "../../src/postgres/replication/standbys.ts";
import type { ActivityAttempt } from "./attempt.ts";

/** Milliseconds between two looks. */
const EVERY_MS = 2000;

/**
 * Runs a step, and reports when a commit of ours waits for a synchronous standby: nothing else would show then that the step is alive.
 * An island that does not respond is asked again the next time.
 */
export async function tellingOfStandbys<T>(
  attempt: ActivityAttempt,
  islands: readonly IslandName[],
  run: () => Promise<T>,
): Promise<T> {
  let over = false;
  const look = async (island: IslandName): Promise<void> => {
    const missing = await attempt.deps.islands.withLook(island, async (client) =>
      (await someCommitWaits(client)) ? missingStandbys(client, island) : null,
    );
    // Temporal gives up an aborted step that waits forever.
    if (missing !== null && !over && !attempt.signal.aborted) attempt.beat({ waitingFor: missing });
  };
  const looking = setInterval(() => void Promise.allSettled(islands.map((island) => look(island))), EVERY_MS);
  try {
    return await run();
  } finally {
    over = true;
    clearInterval(looking);
  }
}
