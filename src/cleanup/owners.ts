import { REQUEST_MEMO } from "../../contract/names.ts";
import { replicationName } from "../postgres/replication/names.ts";
import type { Temporal } from "../temporal/connection.ts";

/** A run of a move or copy that Temporal knows. */
export interface Run {
  workflowId: string;
  runId: string;
  schema: string;
  running: boolean;
  /** True if it completed, that is, did not fail and was neither aborted nor terminated. */
  completed: boolean;
  startTime: Date;
}

/** The runs of moves and copies that Temporal knows, which tell who owns a leftover. */
export class Owners {
  readonly #byRun = new Map<string, Run>();
  readonly #byName = new Map<string, Run>();
  readonly #running = new Map<string, Run>();
  /** Which Temporal was asked, in words; null if there was none to ask. */
  readonly asked: string | null;

  constructor(asked: string | null, runs: readonly Run[]) {
    this.asked = asked;
    for (const run of runs) {
      this.#byRun.set(`${run.workflowId} ${run.runId}`, run);
      this.#byName.set(replicationName(run.workflowId, run.runId, run.schema), run);
      if (run.running) this.#running.set(run.workflowId, run);
    }
  }

  byRun(workflowId: string, runId: string): Run | undefined {
    return this.#byRun.get(`${workflowId} ${runId}`);
  }

  /** The run after which a slot, publication or subscription is named. */
  byName(name: string): Run | undefined {
    return this.#byName.get(name);
  }

  runningNow(workflowId: string): Run | undefined {
    return this.#running.get(workflowId);
  }
}

/** For the case that there is no Temporal to ask: none is configured, and the embedded one has never run. */
export const NO_OWNERS = new Owners(null, []);

/** Asks Temporal for all its moves and copies, including those that have ended. */
export async function askOwners({ client, target }: Temporal): Promise<Owners> {
  const runs: Run[] = [];
  for await (const execution of client.workflow.list({
    query: "WorkflowType IN ('move', 'copy', 'wayBack')",
  })) {
    const { workflowId, runId, type, status, startTime, memo } = execution;
    const request = memo?.[REQUEST_MEMO] as { schema?: unknown } | undefined;
    const schema = request?.schema;
    runs.push({
      workflowId,
      runId,
      schema: typeof schema === "string" ? schema : workflowId.replace(`${type}-`, ""),
      running: status.name === "RUNNING",
      completed: status.name === "COMPLETED",
      startTime,
    });
  }
  return new Owners(`Temporal at ${target.address}, namespace ${target.namespace}`, runs);
}
