import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Client, Connection } from "@temporalio/client";

import { startTemporal } from "../../src/sandbox/index.ts";

test("a Temporal server that was killed continues with its workflows, on the same port", async () => {
  const server = await startTemporal();
  after(() => server.stop());
  const { address } = server;
  const connection = await Connection.connect({ address });
  after(() => connection.close());
  const client = new Client({ connection });
  await client.workflow.start("nobody-works-on-this", { workflowId: "waiting", taskQueue: "none" });

  await server.kill();
  await server.start();

  assert.equal(server.address, address);
  const { status } = await client.workflow.getHandle("waiting").describe();
  assert.equal(status.name, "RUNNING");
});

test("the web UI answers when it is asked for", async () => {
  const server = await startTemporal({ headless: false });
  after(() => server.stop());
  assert.ok(server.uiAddress);
  assert.equal((await fetch(server.uiAddress)).status, 200);
});
