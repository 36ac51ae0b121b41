import { ShardferryError } from "../../../src/errors.ts";
import type { Step } from "./step.ts";

/** The source threw away WAL that the move still needs. */
class SlotLostError extends ShardferryError {
  constructor(step: Step, status: string) {
    super(
      "slot_lost",
      `the replication slot ${step.names.slot} on ${step.from} is ${status}: the source removed WAL that the move still ` +
        `needs; raise max_slot_wal_keep_size there (or idle_replication_slot_timeout) and run the move again`,
    );
  }
}

/** Looks at the slot on the source; throws when it is lost for good. */
export async function ensureSlotLives(step: Step): Promise<void> {
  const { rows } = await step.onSource((client) =>
    client.query<{ status: string | null }>(
      "SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1",
      [step.names.slot],
    ),
  );
  const status = rows[0] ? rows[0].status : "gone";
  if (status === "lost" || status === "gone") throw new SlotLostError(step, status);
}
