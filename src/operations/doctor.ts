import type { CopyMethod } from "../../contract/move.ts";
import { moveWorkflowId } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import { activeNumbers, findShard } from "../layout/where.ts";
import { Islands } from "../postgres/islands/connections.ts";
import { resolveIsland, withIslands } from "../postgres/islands/discover.ts";
import { collidingSequences } from "../preflight/colliding-sequences.ts";
import type { Finding } from "../preflight/finding.ts";
import { inspect } from "../preflight/inspect.ts";
import { doublyActive, examineIsland } from "../preflight/island.ts";
import { dsnsOf, onIslands } from "./with-islands.ts";

export interface Diagnosis {
  /** What was looked at. */
  readonly checked: string;
  readonly findings: readonly Finding[];
}

/** A move to be checked. */
export interface DoctorRequest {
  shard: number;
  to: string;
  from?: string | undefined;
  copyMethod?: CopyMethod | undefined;
}

/** Examines every island; touches nothing. */
export async function doctor(settings: Settings): Promise<Diagnosis> {
  return onIslands(settings, async (islands) => {
    const findings = await Promise.all(islands.map(examineIsland));
    const checked = islands.map(({ name }) => name).join(", ");
    return {
      checked,
      findings: [
        ...findings.flat(),
        ...(await doublyActive(islands)),
        ...(await collidingSequences(islands)),
      ],
    };
  });
}

/** Runs every check that a move would run before it creates anything. */
export async function doctorMove(settings: Settings, request: DoctorRequest): Promise<Diagnosis> {
  const dsns = dsnsOf(settings, request.from, request.to);
  return withIslands(dsns, async (connected) => {
    const to = resolveIsland(request.to, connected, settings.env);
    const { schema, active } = await findShard(connected, request.shard);
    const from =
      request.from === undefined ? active[0] : resolveIsland(request.from, connected, settings.env);
    if (!from) {
      throw new UsageError(
        `Shard ${request.shard} (${schema}) is active on no island. The active shards are: ${await activeNumbers(connected)}.`,
      );
    }
    const islands = new Islands(dsns);
    try {
      const replication = {
        schema,
        from: from.name,
        to: to.name,
        wait: false,
        validateFks: false,
        maxReplicationLagSec: settings.maxReplicationLagSec,
        copyMethod: request.copyMethod ?? "auto",
      };
      const input = { kind: "move" as const, request: replication, shard: request.shard };
      const { problems, plan } = await inspect(islands, input, moveWorkflowId(schema), {
        pgOptions: settings.pgOptions,
      });
      const findings: Finding[] = [
        ...problems.map((text) => ({ island: null, severity: "problem" as const, text })),
        ...(plan?.warnings ?? []).map((text) => ({ island: null, severity: "warning" as const, text })),
      ];
      return { checked: `the move of ${schema} from ${from.name} to ${to.name}`, findings };
    } finally {
      await islands.close();
    }
  });
}
