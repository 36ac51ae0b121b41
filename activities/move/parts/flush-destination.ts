import type { MoveStep } from "./step.ts";

/**
 * Makes everything that a step has committed on the destination survive a crash of its server: Temporal would
 * not do again what it knows as done. Seen without: foreign keys and triggers gone before "analyze".
 */
export async function flushDestination(step: MoveStep): Promise<void> {
  await step.onDestination((client) =>
    client.query(`BEGIN; SET LOCAL synchronous_commit = local;
      SELECT pg_logical_emit_message(true, 'shardferry', ''); COMMIT`),
  );
}
