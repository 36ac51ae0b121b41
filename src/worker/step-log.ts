import { ApplicationFailure, CancelledFailure } from "@temporalio/common";
import type { ActivityInterceptorsFactory } from "@temporalio/worker";

import { messageOf } from "../errors.ts";
import { duration } from "../format.ts";

/** What a worker reports about an attempt of a step. It contains no rows and no passwords. */
export interface StepEvent {
  event: "step begins" | "step ends" | "step cancelled" | "step failed";
  workflowId: string;
  runId: string;
  step: string;
  /** The schema of a move or copy. */
  schema: string | undefined;
  /** Source and destination, or all islands of a migration. */
  islands: string[];
  attempt: number;
  durationMs?: number;
  /** The code of the error. */
  code?: string;
  error?: string;
  /** False if the failure ends the workflow, or makes it undo what it has done. */
  retried?: boolean;
}

/** Calls a function when an attempt of a step begins and ends. */
export function watchSteps(tell: (event: StepEvent) => void): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { workflowId = "", runId = "" } = info.workflowExecution ?? {};
        const about = {
          workflowId,
          runId,
          step: info.activityType,
          ...subjectOf(input.args[0]),
          attempt: info.attempt,
        };
        const began = performance.now();
        tell({ event: "step begins", ...about });
        try {
          const result = await next(input);
          tell({ event: "step ends", ...about, durationMs: since(began) });
          return result;
        } catch (error) {
          const durationMs = since(began);
          if (isCancelled(error)) tell({ event: "step cancelled", ...about, durationMs });
          else tell({ event: "step failed", ...about, durationMs, ...failureOf(error) });
          throw error;
        }
      },
    },
  });
}

const isCancelled = (error: unknown): boolean =>
  error instanceof CancelledFailure || (error instanceof Error && error.name === "AbortError");

const since = (began: number): number => Math.round(performance.now() - began);

/** Reads the inputs of all steps, of which each has some of these fields. */
interface Subject {
  request?: Subject;
  schema?: string;
  from?: string;
  to?: string;
  islands?: (string | { island: string })[];
  prepared?: { island: string }[];
}

function subjectOf(input: unknown): Pick<StepEvent, "schema" | "islands"> {
  const given = (input ?? {}) as Subject;
  const { schema, from, to, islands } = given.request ?? given;
  const places = islands ?? given.prepared ?? [from, to].filter((name) => name !== undefined);
  const names = places.map((place) => (typeof place === "string" ? place : place.island));
  return { schema, islands: [...new Set(names)] };
}

function failureOf(error: unknown): Pick<StepEvent, "code" | "error" | "retried"> {
  if (!(error instanceof ApplicationFailure)) return { error: messageOf(error), retried: true };
  return { code: error.type ?? "error", error: error.message, retried: error.nonRetryable !== true };
}

/** Returns a step event as a line for people. */
export function lineOf({ event, workflowId, step, schema, islands, attempt, ...end }: StepEvent): string {
  const what = event.replace("step ", "");
  const after = end.durationMs === undefined ? "" : ` after ${duration(end.durationMs)}`;
  const where = [...(schema === undefined ? [] : [schema]), islands.join(" → ")].join(": ");
  const again = attempt === 1 ? "" : `, attempt ${attempt}`;
  const failure = end.error === undefined ? "" : `: ${end.code ?? "error"}: ${end.error}`;
  const fate = end.retried === undefined ? "" : end.retried ? " (will be retried)" : " (will not be retried)";
  return `${workflowId}: ${step} ${what}${after} (${where}${again})${failure}${fate}`;
}
