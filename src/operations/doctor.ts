import { copyWorkflowId, moveWorkflowId } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import { activeNumbers, findShard } from "../layout/where.ts";
import { Islands } from "../postgres/islands/connections.ts";
import { resolveIsland } from "../postgres/islands/discover.ts";
import type { Dsn } from "../postgres/islands/dsn.ts";
import { collidingSequences } from "../preflight/colliding-sequences.ts";
import type { Finding } from "../preflight/finding.ts";
import { inspect, type PreflightInput } from "../preflight/inspect.ts";
import { doublyActive, examineIsland } from "../preflight/island.ts";
import { copyInput, type CopyRequest } from "./copy.ts";
import { moveInput, type MoveRequest } from "./move.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

export interface Diagnosis {
  /** What was checked. */
  readonly checked: string;
  readonly findings: readonly Finding[];
}

/** The move to check, without what makes no difference to a check. */
export type DoctorRequest = Partial<MoveRequest> & Pick<MoveRequest, "shard" | "to">;

/** Checks every island; changes nothing. */
export async function doctor(settings: Settings): Promise<Diagnosis> {
  return readIslands(dsnsOf(settings), async (islands) => {
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
  return readIslands(dsns, async (connected) => {
    const to = resolveIsland(request.to, connected, settings.env);
    const { schema, active } = await findShard(connected, request.shard);
    const from =
      request.from === undefined ? active[0] : resolveIsland(request.from, connected, settings.env);
    if (!from) {
      throw new UsageError(
        `Shard ${request.shard} (${schema}) is active on no island. The active shards are: ${await activeNumbers(connected)}.`,
      );
    }
    const input = moveInput(settings, request, schema, from.name, to.name);
    return diagnose(settings, dsns, moveWorkflowId(schema), {
      kind: "move",
      request: input,
      shard: input.shard,
    });
  });
}

/** Runs every check that a copy would run before it creates anything. */
export async function doctorCopy(settings: Settings, request: CopyRequest): Promise<Diagnosis> {
  const dsns = dsnsOf(settings, request.from, request.to);
  return readIslands(dsns, async (connected) => {
    const from = resolveIsland(request.from, connected, settings.env);
    const to = resolveIsland(request.to, connected, settings.env);
    const input = copyInput(settings, request, from.name, to.name);
    const workflowId = copyWorkflowId(input.schema, to.name);
    return diagnose(settings, dsns, workflowId, { kind: "copy", request: input, shard: null });
  });
}

async function diagnose(
  { pgOptions }: Settings,
  dsns: readonly Dsn[],
  workflowId: string,
  input: PreflightInput,
): Promise<Diagnosis> {
  const { schema, from, to } = input.request;
  const islands = new Islands(dsns);
  try {
    const { problems, plan } = await inspect(islands, input, workflowId, { pgOptions });
    const findings: Finding[] = [
      ...problems.map((text) => ({ island: null, severity: "problem" as const, text })),
      ...(plan?.warnings ?? []).map((text) => ({ island: null, severity: "warning" as const, text })),
    ];
    return { checked: `the ${input.kind} of ${schema} from ${from} to ${to}`, findings };
  } finally {
    await islands.close();
  }
}
