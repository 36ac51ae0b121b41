import type { ClientBase } from "pg";

import { ShardferryError } from "../../../src/errors.ts";
import { cachedDump, dumpSchema, type SchemaDump } from "../../../src/postgres/schema/dump.ts";
import { schemaFingerprint } from "../../../src/postgres/schema/fingerprint.ts";
import { inWordsOf } from "../../../src/postgres/schema/for-older-server.ts";
import type { MoveStep } from "./step.ts";

/** Somebody ran DDL on the source between two looks at its catalogs. */
class SchemaChangedError extends ShardferryError {
  constructor(
    schema: string,
    island: string,
    override readonly retryable: boolean,
  ) {
    super(
      "schema_changed",
      `the structure of schema "${schema}" on ${island} was changed during the move (DDL); run the move again when the change is finished`,
    );
  }
}

/**
 * Makes sure, in a session on the source, that nobody has changed the structure since a fingerprint of it was taken.
 * Before that structure is copied it can simply be read again.
 */
export async function ensureUnchanged(
  step: MoveStep,
  source: ClientBase,
  fingerprint = step.input.fingerprint,
): Promise<void> {
  ensureSame(step, await schemaFingerprint(source, step.schema), fingerprint);
}

/** The same, if the present fingerprint is known. */
export function ensureSame(step: MoveStep, present: string, fingerprint = step.input.fingerprint): void {
  if (present === fingerprint) return;
  const copied = step.input.fingerprint !== "";
  throw new SchemaChangedError(step.schema, step.from, !copied);
}

/**
 * Returns the dump of the source's schema in the words of the destination's version. The dump is made once per run and kept
 * on the worker's disk.
 */
export async function structureOf(step: MoveStep, fingerprint = step.input.fingerprint): Promise<SchemaDump> {
  const { islands } = step.attempt.deps;
  const { source, destination } = step.input.plan;
  const dump = await cachedDump(step.attempt.runId, fingerprint, () =>
    step.attempt.reading(step.from, () =>
      dumpSchema(islands.dsn(step.from), step.schema, source, step.attempt.signal),
    ),
  );
  return inWordsOf(destination.serverMajor, dump);
}
