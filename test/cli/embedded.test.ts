import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connectClient, resolveTarget } from "../../src/temporal/connection.ts";
import { ensureServer, runningServer, stopServer } from "../../src/temporal/embedded.ts";
import { waitFor } from "../support/index.ts";
import { userEnvironment } from "./run-command.ts";

/** The lowest port of outgoing connections: the default of Linux; other systems begin higher. */
const OUTGOING_PORTS = 32_768;

it("the embedded server keeps its port, which no outgoing connection gets, and finds another one if it is taken", async () => {
  const folder = mkdtempSync(join(tmpdir(), "embedded-"));
  const env = userEnvironment({ SHARDFERRY_STATE_DIR: folder });
  const portOfServer = async (): Promise<number> => {
    const target = await resolveTarget(env, () => undefined);
    const temporal = await connectClient(target, env, () => undefined);
    await temporal.close();
    return target.embedded!.port;
  };
  const squatter = createServer();
  try {
    const port = await portOfServer();
    assert.ok(port < OUTGOING_PORTS, `port ${port}`);
    await stopServer(env);
    assert.equal(await portOfServer(), port);
    await stopServer(env);
    await once(squatter.listen(port, "127.0.0.1"), "listening");
    const other = await portOfServer();
    assert.notEqual(other, port);
    assert.ok(other < OUTGOING_PORTS, `port ${other}`);
  } finally {
    squatter.close();
    await stopServer(env);
    rmSync(folder, { recursive: true, force: true });
  }
});

it("the embedded server keeps the histories of ended workflows for 30 days", async () => {
  const folder = mkdtempSync(join(tmpdir(), "embedded-"));
  const env = userEnvironment({ SHARDFERRY_STATE_DIR: folder });
  try {
    const temporal = await connectClient(await resolveTarget(env, () => undefined), env, () => undefined);
    const { config } = await temporal.client.workflowService.describeNamespace({ namespace: "default" });
    assert.equal(String(config?.workflowExecutionRetentionTtl?.seconds), String(30 * 86_400));
    await temporal.close();
  } finally {
    await stopServer(env);
    rmSync(folder, { recursive: true, force: true });
  }
});

it(
  "the embedded server starts again after it was killed right after its first start",
  { timeout: 120_000 },
  async () => {
    for (const afterMs of [0, 10, 25, 40, 60]) {
      const folder = mkdtempSync(join(tmpdir(), "half-made-"));
      const env = userEnvironment({ SHARDFERRY_STATE_DIR: folder });
      try {
        const first = ensureServer(env, () => undefined).then(
          () => "started",
          (error: { code?: string }) => error.code,
        );
        const server = await waitFor(() => Promise.resolve(runningServer(env)), {
          what: "the server's process",
        });
        await waitFor(() => Promise.resolve(existsSync(join(folder, "temporal.db"))), {
          what: "its database file",
        });
        await sleep(afterMs);
        process.kill(server.pid, "SIGKILL");
        assert.ok(["started", "temporal_start"].includes((await first) ?? ""));
        await ensureServer(env, () => undefined);
        assert.ok(runningServer(env));
        assert.deepEqual(
          readdirSync(folder).filter((name) => name.includes("half-made")),
          [],
        );
      } finally {
        await stopServer(env);
        rmSync(folder, { recursive: true, force: true });
      }
    }
  },
);
