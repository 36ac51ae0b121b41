import type { Window } from "../src/sandbox/application.ts";
import { type Contender, contenders } from "./contenders.ts";
import { BIG, ledgerTable } from "./data.ts";
import { millis, quantile, type Section } from "./report.ts";
import { settle, sql, type Stage } from "./stage.ts";
import { startApplication, windowOf } from "./switch.ts";

/** Measures how much slower the application's own statements are while its shard is being copied. */
export async function load(stage: Stage, say: (line: string) => void): Promise<Section[]> {
  await sql(stage.a, ledgerTable(BIG.schema));
  const rows: string[][] = [];
  const row = (name: string, { latenciesMs, longestGapMs }: Window): void => {
    const at = (share: number): string => millis(quantile(latenciesMs, share));
    rows.push([name, at(0.5), at(0.99), at(1), millis(longestGapMs)]);
    say(rows.at(-1)!.join("  "));
  };
  await observe(stage, async (measure) => {
    row("nothing else", await measure(() => new Promise((resolve) => setTimeout(resolve, 10_000))));
  });
  for (const contender of contenders()) {
    await settle(stage);
    await observe(stage, async (measure) => row(contender.name, await measure(() => contender.run(stage))));
    await tidy(stage, contender);
  }
  await sql(stage.a, `DROP TABLE ${BIG.schema}.ledger`);
  return [
    {
      title: "What the application notices",
      text:
        "200 inserts and updates a second into the shard while it is copied; all servers and the application share the cores. " +
        "Shardferry's figures include its switch; after the others the application is still where it was.",
      header: ["while this runs", "median", "99 %", "worst", "longest time without a write"],
      rows,
    },
  ];
}

async function observe(
  stage: Stage,
  use: (measure: (run: () => Promise<unknown>) => Promise<Window>) => Promise<void>,
): Promise<void> {
  await sql(stage.a, `TRUNCATE ${BIG.schema}.ledger`);
  const application = startApplication(stage, BIG.schema);
  await application.start();
  await use((run) => windowOf(application, run));
  const { lost, doubled, failures } = await application.stop();
  if (lost + doubled + failures.length > 0) {
    throw new Error(`${lost} writes lost, ${doubled} doubled, ${failures.length} failed: ${failures[0]}`);
  }
}

/** Restores both islands. */
async function tidy(stage: Stage, contender: Contender): Promise<void> {
  await contender.restore?.(stage);
  await sql(stage.b, `SELECT microsharding.microsharding_ensure_inactive(${BIG.shard})`);
  await sql(stage.b, `DROP SCHEMA ${BIG.schema} CASCADE`);
}
