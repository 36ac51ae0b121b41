import type { HistoryLine } from "../contract/history.ts";
import type { IslandName } from "../contract/names.ts";
import type { StepReport } from "../contract/progress.ts";
import { ShardferryError } from "../src/errors.ts";
import { findHistorySchema, writeHistoryLine } from "../src/postgres/api/history.ts";
import { messageWithoutRows } from "../src/postgres/errors/without-rows.ts";
import type { ActivityAttempt } from "./attempt/attempt.ts";
import { isRetryable } from "./attempt/failures.ts";

/** Milliseconds for which an island that is away is tried again: the result of the operation waits meanwhile. */
const PATIENCE_MS = 20_000;

/** The SQL API of an island is older than its history, or missing. */
class NoHistoryError extends ShardferryError {
  constructor() {
    super("no_history", "its SQL API has no history: run `shardferry install`");
  }
}

/** Writes the line on all islands at once; a failure is reported, and does not hold up the end for long. */
export async function recordHistory(attempt: ActivityAttempt, line: HistoryLine): Promise<StepReport | null> {
  const outcomes = await Promise.allSettled(
    line.islands.map((island) => attempt.answering(island, () => write(attempt, island, line))),
  );
  const failed = outcomes.flatMap((outcome, i) =>
    outcome.status === "rejected" ? [{ island: line.islands[i]!, error: outcome.reason as unknown }] : [],
  );
  if (failed.length === 0) return null;
  const passing = failed.find(({ error }) => isRetryable(error));
  if (passing && attempt.triedMs < PATIENCE_MS) throw passing.error;
  const lines = failed.map(({ island, error }) => `${island}: ${messageWithoutRows(error)}`);
  return { text: attempt.deps.islands.redact(`not written into the history of ${lines.join("; ")}`) };
}

async function write(attempt: ActivityAttempt, island: IslandName, line: HistoryLine): Promise<void> {
  await attempt.deps.islands.withClient(island, async (client) => {
    const apiSchema = await findHistorySchema(client);
    if (apiSchema === null) throw new NoHistoryError();
    await writeHistoryLine(client, apiSchema, attempt, line);
  });
}
