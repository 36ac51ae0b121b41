import { workflowInfo } from "@temporalio/workflow";

import type { VerifyInput, VerifyResult } from "../contract/verify.ts";
import { Protocol } from "./protocol.ts";
import { waiting } from "./proxies.ts";
import { Steering } from "./steering.ts";

/** Compares every row of a schema with a copy of it; changes nothing. */
export async function verify(input: VerifyInput): Promise<VerifyResult> {
  const protocol = new Protocol(new Steering(input, ["verify"]));
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
