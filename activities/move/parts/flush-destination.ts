import type { MoveStep } from "./step.ts";

/**
 * Makes sure that everything that a step has committed on the destination survives a crash of its server: Temporal
 * would not repeat a completed step. Without this, foreign keys and triggers were seen to be gone before "analyze".
 */
export async function flushDestination(step: MoveStep): Promise<void> {
  await step.onDestination((client) =>
    client.query(`BEGIN; SET LOCAL synchronous_commit = local;
      SELECT pg_logical_emit_message(true, 'shardferry', ''); COMMIT`),
  );
}
