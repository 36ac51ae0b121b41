import { workflowInfo } from "@temporalio/workflow";

import type { VerifyInput, VerifyResult } from "../contract/verify.ts";
import { plural } from "../src/format.ts";
import { type Ending, recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { waiting } from "./proxies.ts";
import { Steering } from "./steering.ts";

/** Compares every row of a schema with a copy of it; changes nothing but the history of the islands. */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const protocol = new Protocol(new Steering(input, ["verify"]));
  const { schema, from, toSchema, to, startedBy } = input;
  const name = schema === toSchema ? schema : `${schema} and ${toSchema}`;
  const islands = [...new Set([from, to])];
  return recorded(
    protocol.steering,
    { kind: "verification", name, schemas: [schema], islands, from, to, startedBy },
    () => compare(protocol, input),
    endingOf,
  );
}

async function compare(protocol: Protocol, input: VerifyInput): Promise<VerifyResult> {
  return protocol.orUndo(async () => {
    const found = await protocol.step("verify", () => waiting["compare copies"](input));
    protocol.steering.phase("done");
    const { workflowId, runId, startTime } = workflowInfo();
    const { schema, from, toSchema, to } = input;
    const { tables, rows, bytes, differences, more, changing } = found;
    return {
      workflowId,
      runId,
      schema,
      from,
      toSchema,
      to,
      same: differences.length === 0 && changing.length === 0,
      tables,
      rows,
      bytes,
      durationMs: Date.now() - startTime.getTime(),
      differences,
      more,
      changing,
    };
  });
}

function endingOf({ same, tables, rows, differences, more, changing }: VerifyResult): Ending {
  const verified = { tables, rows };
  if (same) return { outcome: "same", rows, verified };
  const number = `${more ? "at least " : ""}${plural(differences.length, "row differs", "rows differ")}`;
  const busy =
    changing.length === 0 ? "" : `; rows of ${plural(changing.length, "table")} changed all the time`;
  return { outcome: "differs", rows, verified, reason: { code: "differs", text: number + busy } };
}
