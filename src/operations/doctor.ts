import { copyWorkflowId, type IslandName, moveWorkflowId } from "../../contract/names.ts";
import { isReversible } from "../../contract/way-back.ts";
import type { Leftover } from "../cleanup/leftover.ts";
import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import { activeNumbers, findShard } from "../layout/where.ts";
import { Islands } from "../postgres/islands/connections.ts";
import { type ConnectedIsland, resolveIsland } from "../postgres/islands/discover.ts";
import type { Dsn } from "../postgres/islands/dsn.ts";
import { collidingSequences } from "../preflight/colliding-sequences.ts";
import { type Finding, type FindingCode, findingOf } from "../preflight/finding.ts";
import { inspect, type PreflightInput } from "../preflight/inspect.ts";
import { doublyActive, examineIsland, ISLAND_CHECKS } from "../preflight/island.ts";
import { type Pace, readPace } from "../watch/pace.ts";
import { checkTemporal, type TemporalHealth } from "../watch/temporal-health.ts";
import { findLeftovers } from "./cleanup.ts";
import { copyInput, type CopyRequest } from "./copy.ts";
import { moveInput, type MoveRequest } from "./move.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

export interface Diagnosis {
  /** What was checked. */
  readonly checked: string;
  /** Problems first. */
  readonly findings: readonly Finding[];
  /** The checks that found nothing. */
  readonly fine: readonly FindingCode[];
  /** The version of each server. */
  readonly servers: readonly { readonly island: IslandName; readonly version: string }[];
  /** What moves and copies have left behind; null if only a move or copy was checked. */
  readonly leftovers: {
    readonly count: number;
    readonly bytes: number;
    readonly list: readonly Leftover[];
  } | null;
  /** Null if no Temporal server is configured or running. */
  readonly temporal: TemporalHealth | null;
  /** What would be copied, and how long that takes, judging by earlier moves; null if nothing would. */
  readonly size: {
    readonly tables: number;
    readonly rows: number;
    readonly bytes: number;
    readonly expectedMs: number | null;
  } | null;
}

/** The move to check, without what makes no difference to a check. */
export type DoctorRequest = Partial<MoveRequest> & Pick<MoveRequest, "shard" | "to">;

/** Checks every island, Temporal and its workers; changes nothing. */
export async function doctor(settings: Settings): Promise<Diagnosis> {
  const [islands, temporal] = await Promise.all([
    readIslands(dsnsOf(settings), async (connected) => ({
      found: [
        ...(await Promise.all(connected.map(examineIsland))).flat(),
        ...(await doublyActive(connected)),
        ...(await collidingSequences(connected)),
      ],
      servers: connected.map(serverOf),
    })),
    checkTemporal(settings.env, (temporal) => findLeftovers(settings, { temporal })),
  ]);
  const list = temporal?.more ?? (await findLeftovers(settings, null));
  const findings = [...islands.found, ...temporalFindings(temporal?.health ?? null)];
  const bytes = list.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
  return {
    checked: islands.servers.map(({ island }) => island).join(", "),
    findings: problemsFirst(findings),
    fine: fineOf([...ISLAND_CHECKS, "active_twice", "colliding_sequences"], findings),
    servers: islands.servers,
    leftovers: { count: list.length, bytes, list },
    temporal: temporal?.health ?? null,
    size: null,
  };
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
    return diagnose(settings, dsns, [from, to], moveWorkflowId(schema), {
      kind: "move",
      request: input,
      shard: input.shard,
      endsBlockers: Boolean(input.cancelBlockersAfterMs ?? input.terminateBlockersAfterMs),
      reversible: isReversible(input),
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
    return diagnose(settings, dsns, [from, to], workflowId, { kind: "copy", request: input, shard: null });
  });
}

async function diagnose(
  { env, pgOptions }: Settings,
  dsns: readonly Dsn[],
  connected: readonly ConnectedIsland[],
  workflowId: string,
  input: PreflightInput,
): Promise<Diagnosis> {
  const { schema, from, to } = input.request;
  const islands = new Islands(dsns);
  try {
    const [{ problems, warnings, fine, plan }, temporal] = await Promise.all([
      inspect(islands, input, workflowId, { pgOptions }),
      checkTemporal(env, readPace),
    ]);
    return {
      checked: `the ${input.kind} of ${schema} from ${from} to ${to}`,
      findings: problemsFirst([...problems, ...warnings, ...temporalFindings(temporal?.health ?? null)]),
      fine,
      servers: connected.map(serverOf),
      leftovers: null,
      temporal: temporal?.health ?? null,
      size: plan && sizeOf(plan, temporal?.more ?? null),
    };
  } finally {
    await islands.close();
  }
}

const sizeOf = (
  { tables, rows, bytes }: { tables: number; rows: number; bytes: number },
  pace: Pace | null,
): Diagnosis["size"] => ({ tables, rows, bytes, expectedMs: pace?.msOf(bytes) ?? null });

/** `15.4` for 150004. */
const serverOf = ({ name, serverVersion }: ConnectedIsland): Diagnosis["servers"][number] => ({
  island: name,
  version: `${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`,
});

const problemsFirst = (findings: readonly Finding[]): Finding[] => [
  ...findings.filter(({ severity }) => severity === "problem"),
  ...findings.filter(({ severity }) => severity === "warning"),
];

const fineOf = (checks: readonly FindingCode[], findings: readonly Finding[]): FindingCode[] =>
  checks.filter((code) => !findings.some((one) => one.code === code));

function temporalFindings(health: TemporalHealth | null): Finding[] {
  if (health === null) return [];
  const { address, namespace, embedded, workers, problem } = health;
  if (problem !== null) return [findingOf("temporal", "problem", problem, [])];
  if (embedded || workers.length > 0) return [];
  const text = `no worker polls Temporal at ${address}, namespace ${namespace}: start \`shardferry worker\` with the DSNs of all islands`;
  return [findingOf("no_worker", "warning", text, [])];
}
