import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
} from "@temporalio/client";

import { rollbackWorkflowId } from "../../contract/way-back.ts";
import { type PostgresServer, startPostgres, startTemporal } from "../../src/sandbox/index.ts";
import type { rollback } from "../../workflows/index.ts";
import { randomNumbers } from "../rebalance/layouts.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, type World } from "../support/world.ts";
import { SHARD, startRollback, wayOf } from "./returning-shard.ts";
import { expectSound } from "./shard.ts";

/** Rollbacks of all shards together. */
const ROUNDS = Number(process.env["SHARDFERRY_TEST_ROUNDS"] ?? 100);
const SEED = Number(process.env["SHARDFERRY_TEST_SEED"] ?? Math.floor(Math.random() * 1e6));
/** So many shards go back and forth at once, since a way takes 15 s to open. */
const SHARDS = [41, 42, 43, 44];
const LIFETIME_MS = 12 * 3_600_000;
/** Milliseconds between two disasters: the heartbeat timeout of a step, after which it begins again, is 10 s. */
const GAP_MS = { least: 2000, most: 14_000 };
/** Milliseconds for which something is down. */
const LONGEST_OUTAGE_MS = 3000;

const schemaOf = (shard: number): string => `sh00${shard}`;

/** Repeats what fails only because Temporal or a server is down. */
async function persistently<T>(what: string, act: () => Promise<T>): Promise<T> {
  let failure: Error | undefined;
  const attempt = async (): Promise<{ value: T } | null> => {
    try {
      return { value: await act() };
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      failure = error;
      return null;
    }
  };
  const done = await waitFor(async () => (await attempt()) ?? failure, {
    what,
    timeout: 600_000,
    every: 500,
  });
  if ("value" in done) return done.value;
  let cause: Error = done;
  while (cause.cause instanceof Error) cause = cause.cause;
  throw new Error(`${what}: ${cause.message}`, { cause: done });
}

/** What happens to the world: one thing at a time, sometimes two at once. */
class Disasters {
  readonly counts: Record<string, number> = {};
  #running = true;
  readonly #random = randomNumbers(SEED);
  readonly #kinds: Record<string, () => Promise<void>>;

  constructor(
    world: World,
    servers: Record<"a" | "b", PostgresServer>,
    temporal: { kill(): Promise<void>; start(): Promise<void> },
    worker: { kill(): Promise<void> },
  ) {
    const down = async (server: PostgresServer): Promise<void> => {
      await server.stop("immediate");
      await sleep(this.#random() * LONGEST_OUTAGE_MS);
      await server.start();
    };
    this.#kinds = {
      worker: async () => {
        await worker.kill();
        // Temporal may be down as well.
        worker = await waitFor(() => world.startWorker(), { what: "a worker to start", every: 500 });
      },
      temporal: async () => {
        await temporal.kill();
        await sleep(this.#random() * LONGEST_OUTAGE_MS);
        await temporal.start();
      },
      "server a": () => down(servers.a),
      "server b": () => down(servers.b),
    };
  }

  async run(): Promise<void> {
    const names = Object.keys(this.#kinds);
    while (this.#running) {
      await sleep(GAP_MS.least + this.#random() * (GAP_MS.most - GAP_MS.least));
      const at = Math.floor(this.#random() * names.length);
      const both = this.#random() < 0.2;
      const chosen = [names[at]!, ...(both ? [names[(at + 1) % names.length]!] : [])];
      for (const name of chosen) this.counts[name] = (this.counts[name] ?? 0) + 1;
      await Promise.all(chosen.map((name) => this.#kinds[name]!()));
    }
  }

  end(): void {
    this.#running = false;
  }
}

/** Looks all the time for a shard that is active in both places. */
async function watchForTwo({ a, b }: World, running: () => boolean): Promise<string[]> {
  const two: string[] = [];
  while (running()) {
    for (const schema of SHARDS.map(schemaOf)) {
      // A server that is down has no active shards.
      const isActive = async (place: World["a"]): Promise<boolean> =>
        (await activePlaces(schema, place).catch(() => [])).length > 0;
      const [before, there, after] = [await isActive(b), await isActive(a), await isActive(b)];
      if (before && there && after) two.push(`${schema} at ${new Date().toISOString()}`);
    }
    await sleep(100);
  }
  return two;
}

/** One shard that goes back and forth. */
async function goBackAndForth(
  world: World,
  { shard, moved }: { shard: number; moved: Pick<WorkflowHandle, "result"> },
  more: () => boolean,
): Promise<number> {
  const schema = schemaOf(shard);
  let [rounds, turn] = [0, 0 as 0 | 1];
  await persistently(`the move of ${schema}`, () => moved.result());
  while (more()) {
    const handle = await persistently(`the start of rollback ${rounds} of ${schema}`, () =>
      startRollback(world, turn, { schema, shard }).catch((error: unknown) => {
        // The answer to the first try was lost.
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        return world.client.workflow.getHandle<typeof rollback>(rollbackWorkflowId(schema));
      }),
    );
    await persistently(`rollback ${rounds} of ${schema}`, () => handle.result());
    turn = turn === 0 ? 1 : 0;
    const place = turn === 0 ? world.b : world.a;
    const places = await persistently("the places", () => activePlaces(schema, world.a, world.b));
    assert.deepEqual(places, [place.name]);
    rounds++;
  }
  await persistently(`the finish of ${schema}`, () => wayOf(world, turn, schema).signal("finish"));
  const { end } = await persistently(`the end of ${schema}`, () => wayOf(world, turn, schema).result());
  assert.equal(end, "finished");
  return rounds;
}

it(
  `${ROUNDS} rollbacks while everything goes down again and again (seed ${SEED}) lose and double nothing`,
  { timeout: 4 * 3_600_000 },
  async () => {
    const settings = { wal_writer_delay: "10s" };
    const [a, b, temporal] = await Promise.all([
      startPostgres({ version: 17, durable: true, name: "soak-a", settings }),
      startPostgres({ version: 17, durable: true, name: "soak-b", settings }),
      startTemporal(),
    ]);
    const world = await createWorld({
      servers: { a, b },
      temporal: { address: temporal.address, namespace: "default" },
    });
    const ledgers: Ledger[] = [];
    for (const shard of SHARDS) {
      const schema = schemaOf(shard);
      await createShard(world.a, shard, SHARD.replaceAll("sh0042", schema));
      const ledger = new Ledger({ islands: [world.a.dsn, world.b.dsn], shard, schema, rate: 20 });
      await ledger.start();
      ledgers.push(ledger);
    }
    const moves = await Promise.all(
      SHARDS.map(async (shard) => ({
        shard,
        moved: await world.startMove({ shard, schema: schemaOf(shard), reversibleMs: LIFETIME_MS }),
      })),
    );
    const disasters = new Disasters(world, { a, b }, temporal, await world.startWorker());
    const raging = disasters.run();
    let [begun, running] = [0, true];
    const two = watchForTwo(world, () => running);
    const all = Promise.all(moves.map((one) => goBackAndForth(world, one, () => ++begun <= ROUNDS)));
    const telling = setInterval(() => console.log(begun, JSON.stringify(disasters.counts)), 60_000);
    try {
      const rounds = await Promise.race([all, raging.then(() => [])]);
      console.log(`rounds ${rounds.join(" + ")}, disasters ${JSON.stringify(disasters.counts)}`);
    } finally {
      clearInterval(telling);
      disasters.end();
      running = false;
      await raging;
    }
    assert.deepEqual(await two, []);
    for (const ledger of ledgers) await expectSound(ledger);
    for (const shard of SHARDS)
      assert.equal((await activePlaces(schemaOf(shard), world.a, world.b)).length, 1);
    await expectNoLeftovers(world.a, world.b);
  },
);
