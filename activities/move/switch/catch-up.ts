import { flushedPosition, waitUntilApplied } from "../../../src/postgres/replication/position.ts";
import { schemaFingerprint } from "../../../src/postgres/schema/fingerprint.ts";
import { ensurePublished } from "../parts/guards.ts";
import { ReplicationTrouble } from "../parts/replication-health.ts";
import { SchemaChangedError } from "../parts/structure.ts";
import type { SwitchSessions } from "./sessions.ts";

/** Milliseconds between two heartbeats while the destination catches up before the lock. */
const CATCH_UP_MS = 1000;

/** Brings the destination close before the lock: what is left under it is a matter of milliseconds. */
export async function catchUp(sessions: SwitchSessions): Promise<void> {
  const { step } = sessions;
  const fingerprint = await step.attempt.reading(step.from, () =>
    schemaFingerprint(sessions.sourceObserver, step.schema),
  );
  if (fingerprint !== step.input.fingerprint) throw new SchemaChangedError(step.schema, step.from, false);
  await ensurePublished(step, sessions.facts, sessions.sourceObserver);
  const trouble = new ReplicationTrouble(step);
  for (;;) {
    const position = await flushedPosition(sessions.sourceObserver);
    const deadline = Date.now() + CATCH_UP_MS;
    const near = await waitUntilApplied(
      sessions.destinationObserver,
      step.replicationName,
      position,
      deadline,
      () => Promise.resolve(),
    );
    if (near) return;
    step.attempt.throwIfCancelled();
    const reason = await trouble.look();
    step.attempt.beat({
      waitingFor: reason ?? `the subscription on ${step.to} to catch up with ${step.from}`,
    });
  }
}
