// Runs programs for a worker and reports how they ended: the other end of src/machine/run-program.ts.
import { execFile } from "node:child_process";

/** Maximum bytes of messages that a program may write. */
const MAX_MESSAGES = 1 << 26;

const running = new Map();

process.on("message", ({ id, abort, file, args, env }) => {
  if (abort) return void running.get(id)?.kill();
  const child = execFile(file, args, { env, maxBuffer: MAX_MESSAGES }, (error, _stdout, stderr) => {
    running.delete(id);
    process.send?.({ id, failure: error && (stderr || error.message) });
  });
  running.set(id, child);
});

// The worker has ended, however it did, so nobody waits for these any longer.
process.on("disconnect", () => {
  for (const child of running.values()) child.kill();
  process.exit();
});
