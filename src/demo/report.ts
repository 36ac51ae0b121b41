import type { MoveResult } from "../../contract/move.ts";
import type { IslandName } from "../../contract/names.ts";
import { ShardferryError } from "../errors.ts";
import { bytes, count, duration } from "../format.ts";
import type { ApplicationBalance } from "../sandbox/application.ts";
import type { Crash } from "./crash.ts";

/** The result of the demo. */
export interface DemoResult extends ApplicationBalance {
  /** Writes that went into the old copy after the switch, where nobody would find them. */
  stray: number;
  /** Longest time without an acknowledged write, from the start of the move to its end. */
  longestGapMs: number;
  move: MoveResult;
  /** Null if the move ended before the worker could be killed. */
  crash: Crash | null;
  /** Islands on which the shard is active at the end. */
  activeOn: IslandName[];
  ui: string;
}

const NAME_WIDTH = 42;

/** Prints the result, one line per figure. */
export function report(result: DemoResult, say: (line: string) => void): void {
  const { move, crash } = result;
  const line = (name: string, value: string): void => say(`  ${name.padEnd(NAME_WIDTH)} ${value}`);
  line("writes acknowledged to the application", count(result.acknowledged));
  line("  of these lost", count(result.lost));
  line("  doubled", count(result.doubled));
  line("  gone into the old copy", count(result.stray));
  line("writes that failed", count(result.failures.length));
  line("longest time without an acknowledged write", `${Math.round(result.longestGapMs)} ms`);
  line("  writers blocked by the switch", `${Math.round(move.writeBlockedMs)} ms`);
  line("moved", `${count(move.rows)} rows, ${bytes(move.bytes)} in ${duration(move.durationMs)}`);
  line("shard active on", result.activeOn.join(", ") || "no island");
  if (crash) {
    const at = `${duration(crash.atMs)} after the start, when ${bytes(crash.bytes)} had arrived`;
    line("worker killed (SIGKILL)", `process ${crash.killed}, ${at}; process ${crash.next} took over`);
  }
  line("history of the move, step by step", `${result.ui}/namespaces/default/workflows/${move.workflowId}`);
}

/** Throws if anything went wrong. */
export function judge({ lost, doubled, stray, failures, activeOn, move }: DemoResult): void {
  const wrong = [
    ...(lost > 0 ? [`${lost} acknowledged writes are lost`] : []),
    ...(doubled > 0 ? [`${doubled} writes are doubled`] : []),
    ...(stray > 0 ? [`${stray} writes went into the old copy`] : []),
    ...(failures.length > 0 ? [`${failures.length} writes failed, the first with: ${failures[0]}`] : []),
    ...(activeOn.length === 1 && activeOn[0] === move.to
      ? []
      : [`the shard is active on ${activeOn.join(" and ") || "no island"} instead of ${move.to}`]),
  ];
  if (wrong.length > 0) throw new ShardferryError("demo_failed", `The demo failed: ${wrong.join("; ")}.`);
}
