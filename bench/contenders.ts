import { accessSync, constants, mkdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { temporaryFolder } from "../src/sandbox/index.ts";
import { BIG, FOREIGN_KEYS, INDEXES, inSchema, TABLE_NAMES, TABLES } from "./data.ts";
import { moveShard, shell, sql, type Stage, type TimedMove, uri } from "./stage.ts";

/** A way to bring the large shard from the first island to the second. */
export interface Contender {
  name: string;
  /** Copies all rows and builds all indexes; Shardferry also returns how long its steps took. */
  run(stage: Stage): Promise<TimedMove | void>;
  /** Restores the first island. */
  restore?(stage: Stage): Promise<void>;
}

/** Returns Shardferry and what a user could do instead. Tools that are not on PATH are left out. */
export function contenders(): Contender[] {
  const found = [
    {
      name: "Shardferry",
      run: (stage: Stage) => moveShard(stage, BIG.shard, { copyMethod: "direct" }),
      restore: moveBack,
    },
    {
      name: "Shardferry, rows by tablesync",
      run: (stage: Stage) => moveShard(stage, BIG.shard, { copyMethod: "tablesync" }),
      restore: moveBack,
    },
    { name: COPY_PIPE, run: copyPipe },
    { name: "pg_dump \\| pg_restore, 2 jobs", run: dumpAndRestore },
    { name: "plain subscription, all indexes there", run: subscription, restore: dropReplication },
  ];
  return [
    ...found,
    ...(isOnPath("pgcopydb") ? [{ name: "pgcopydb clone", run: pgcopydb }] : []),
    ...(isOnPath("pg-microsharding")
      ? [{ name: "pg-microsharding", run: pgMicrosharding, restore: moveBack }]
      : []),
  ];
}

/** The contender that all are compared with. */
export const COPY_PIPE = "binary COPY pipe, then indexes (the limit)";

const isOnPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Turns the old copy into the shard again: renames it, removes the limits of its sequences, activates it. */
async function moveBack({ a }: Stage): Promise<void> {
  const [old] = await sql(a, `SELECT nspname FROM pg_namespace WHERE nspname LIKE '${BIG.schema}old%'`);
  const sequences = await sql(
    a,
    `SELECT sequencename AS name FROM pg_sequences WHERE schemaname = '${String(old!["nspname"])}'`,
  );
  const unlimit = sequences.map(({ name }) => `ALTER SEQUENCE ${BIG.schema}.${String(name)} NO MAXVALUE;`);
  await sql(
    a,
    `ALTER SCHEMA ${String(old!["nspname"])} RENAME TO ${BIG.schema};
     ${unlimit.join("\n")}
     SELECT microsharding.microsharding_ensure_active(${BIG.shard})`,
  );
}

/** Copies from psql to psql, two tables at a time; then builds the indexes, two at a time. */
async function copyPipe(stage: Stage): Promise<void> {
  const { a, b } = stage;
  await sql(b, `CREATE SCHEMA ${BIG.schema}; ${inSchema(TABLES, BIG.schema)}`);
  await twoAtATime(TABLE_NAMES, (table) => {
    const name = `${BIG.schema}.${table}`;
    const out = `psql -Xqc "COPY ${name} TO STDOUT (FORMAT binary)" ${uri(a)}`;
    return shell(stage, `${out} | psql -Xqc "COPY ${name} FROM STDIN (FORMAT binary)" ${uri(b)}`);
  });
  await twoAtATime(INDEXES, (statement) => sql(b, inSchema([statement], BIG.schema)));
  await sql(b, inSchema(FOREIGN_KEYS, BIG.schema));
}

async function twoAtATime<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  const lane = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all([lane(), lane()]);
}

/** Uses the directory format, the only one that can be written and read in parallel; uncompressed, the fastest here. */
async function dumpAndRestore(stage: Stage): Promise<void> {
  const folder = join(temporaryFolder(), `shardferry-bench-${process.pid}`);
  mkdirSync(folder, { mode: 0o700 });
  try {
    const dump = join(folder, "dump");
    await shell(stage, `pg_dump -Fd -j2 -Z0 --schema=${BIG.schema} -f ${dump} ${uri(stage.a)}`);
    await shell(stage, `pg_restore -j2 -d ${uri(stage.b)} ${dump}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Creates the whole schema first, then the subscription, as in PostgreSQL's manual. */
async function subscription(stage: Stage): Promise<void> {
  const { a, b } = stage;
  await shell(
    stage,
    `pg_dump --schema-only --schema=${BIG.schema} ${uri(a)} | psql -Xq ${uri(b)} >/dev/null`,
  );
  const tables = TABLE_NAMES.map((table) => `${BIG.schema}.${table}`).join(", ");
  await sql(a, `CREATE PUBLICATION bench FOR TABLE ${tables}`);
  await sql(b, `CREATE SUBSCRIPTION bench CONNECTION '${a.dsn("app")}' PUBLICATION bench`);
  for (;;) {
    const [left] = await sql(
      b,
      "SELECT count(*)::int AS tables FROM pg_subscription_rel WHERE srsubstate <> 'r'",
    );
    if (left!["tables"] === 0) return;
    await sleep(50);
  }
}

async function dropReplication({ a, b }: Stage): Promise<void> {
  await sql(b, "DROP SUBSCRIPTION bench");
  await sql(a, "DROP PUBLICATION bench");
}

async function pgcopydb(stage: Stage): Promise<void> {
  const folder = join(temporaryFolder(), `shardferry-bench-${process.pid}`);
  mkdirSync(folder, { mode: 0o700 });
  try {
    const filter = join(folder, "filter.ini");
    const write = `printf '[include-only-schema]\\n${BIG.schema}\\n' >${filter}`;
    const flags = `--dir ${join(folder, "work")} --filters ${filter} --table-jobs 2 --index-jobs 2 --no-owner --skip-extensions`;
    await shell(
      stage,
      `${write}; pgcopydb clone ${flags} --source ${uri(stage.a)} --target ${uri(stage.b)} 2>/dev/null`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function pgMicrosharding(stage: Stage): Promise<void> {
  const [from, to] = stage.place.dsns;
  const options = `--shard=${BIG.shard} --from='${from}' --to='${to}' --activate-on-destination=yes`;
  await shell(stage, `DSNS='${from},${to}' pg-microsharding move ${options} </dev/null >/dev/null 2>&1`);
}
