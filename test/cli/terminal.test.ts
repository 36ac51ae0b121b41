import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import stringWidth from "string-width";

import { expectNoLeftovers, waitFor } from "../support/index.ts";
import {
  activeShards,
  type Command,
  createIslands,
  type Islands,
  run,
  schemas,
  startInTerminal,
} from "./run-command.ts";

const CTRL_C = "\x03";
const ESCAPE = "\x1b[";

let islands: Islands;
before(async () => {
  islands = await createIslands([1, 2, 3, 4]);
});

const startMove = (shard: number, ...more: string[]): Command =>
  startInTerminal(
    [
      "move",
      `--shard=${shard}`,
      `--to=${islands.names.b}`,
      "--activate-on-destination=yes",
      "--wait",
      ...more,
    ],
    islands,
  );

/** Returns what is on the screen at the end: after the last redraw of the block. */
const screen = (command: Command): string => command.stdout.split(`A${ESCAPE}J`).at(-1)!;

async function isPaused(command: Command): Promise<void> {
  const ended = command
    .ended()
    .then(({ stdout, stderr }) => assert.fail(`it ended before: ${stdout}${stderr}`));
  ended.catch(() => undefined);
  const paused = waitFor(() => /Shift\+S confirms/.test(screen(command)), { what: "the pause" }).catch(
    (error: unknown) => assert.fail(`${String(error)} The screen shows: ${screen(command)}`),
  );
  await Promise.race([paused, ended]);
}

describe("move in a terminal", () => {
  it("shows every step, and continues at Shift+S", async () => {
    const command = startMove(1);
    await isPaused(command);
    for (const step of ["preflight", "tablesync", "build indexes", "lock and switch"]) {
      assert.match(screen(command), new RegExp(step));
    }
    assert.match(screen(command), /✔.*tablesync.*copied 1000 rows/);
    await waitFor(() => /replication lag: .*subscription of 127\.0\.0\.1/.test(screen(command)), {
      what: "the lag of the subscription",
    });
    for (const line of screen(command).split("\r\n")) assert.ok(stringWidth(line) <= 160, line);
    command.press("s");
    command.press("P");
    await waitFor(() => /Shift\+P changes nothing now: only a rebalance/.test(screen(command)), {
      what: "the answer to a key that does nothing",
    });
    command.press("S");
    const { status, stdout } = await command.ended();
    assert.equal(status, 0);
    assert.match(stdout, /Moved sh0001/);
    assert.deepEqual(await activeShards(islands.b), ["sh0001"]);
  });

  it("aborts at ^C, and shows the cleanup", async () => {
    const command = startMove(2);
    await isPaused(command);
    const [link, ui, path] =
      /(http:\/\/[^/\s]+)(\/namespaces\/\S+)\/workflows\/move-sh0002/.exec(screen(command)) ?? [];
    command.press(CTRL_C);
    const { status, stdout } = await command.ended();
    assert.equal(status, 130);
    assert.match(stdout, /dropped the half-made copy/);
    assert.match(stdout, /move-sh0002 was aborted; the source is as it was/);
    assert.ok(link);
    const shown = (await (await fetch(`${ui}/api/v1${path}/workflows/move-sh0002`)).json()) as {
      workflowExecutionInfo?: { status?: string };
    };
    assert.equal(shown.workflowExecutionInfo?.status, "WORKFLOW_EXECUTION_STATUS_CANCELED");
    assert.ok(!(await schemas(islands.b)).includes("sh0002"));
    await expectNoLeftovers(islands.a);
    await expectNoLeftovers(islands.b);
  });

  it("says once why it was refused", async () => {
    await islands.b.rows("CREATE SCHEMA sh0002");
    const { status, stdout } = await startMove(2).ended();
    await islands.b.rows("DROP SCHEMA sh0002");
    assert.equal(status, 1);
    const last = stdout.split(`A${ESCAPE}J`).at(-1)!;
    assert.equal(last.match(/schema "sh0002" exists/g)?.length, 1, last);
  });

  it("detaches at a second ^C, and the cleanup continues in the background", async () => {
    const command = startMove(3);
    await isPaused(command);
    command.press(CTRL_C + CTRL_C);
    const { status, stdout } = await command.ended();
    assert.equal(status, 130);
    assert.match(stdout, /its abort continues in the background/);
    await waitFor(async () => !(await schemas(islands.b)).includes("sh0003"), { what: "the cleanup" });
    await waitFor(async () => /Nothing is running/.test((await run(["status"], islands)).stdout), {
      what: "the end",
    });
    assert.ok((await activeShards(islands.a)).includes("sh0003"));
  });

  it("detaches when the terminal is closed, and the move continues in the background", async () => {
    const command = startMove(4);
    await isPaused(command);
    // Ends the terminal; the kernel sends SIGHUP to its processes.
    command.signal("SIGKILL");
    await command.ended();
    const confirmed = await waitFor(
      async () => {
        const { status } = await run(["confirm", "move-sh0004"], islands);
        return status === 0;
      },
      { what: "the move to be confirmed" },
    );
    assert.ok(confirmed);
    await waitFor(async () => (await activeShards(islands.b)).includes("sh0004"), { what: "the switch" });
    // Otherwise its cleanup would overlap with that of this file.
    await waitFor(async () => /Nothing is running/.test((await run(["status"], islands)).stdout), {
      what: "the end",
    });
  });
});
