/** Requests of a person or another process to the running command. */
export interface Requests {
  /** ^C, or SIGINT. */
  interrupt(): void;
  /** Shift+S. */
  goOn(): void;
  /** Shift+P. */
  pause(): void;
  /** The terminal is gone: detach, and let the workflow continue. */
  hangUp(): void;
  /** The process is asked to stop: the same. */
  leave(): void;
}

const CTRL_C = "\x03";
const SHIFT_S = "S";
const SHIFT_P = "P";

/** Listens for keys and signals; the returned function stops listening. */
export function listen(interactive: boolean, requests: Requests): () => void {
  const interrupt = (): void => requests.interrupt();
  const hangUp = (): void => requests.hangUp();
  const leave = (): void => requests.leave();
  const onData = (data: Buffer): void => {
    for (const key of data.toString()) {
      if (key === CTRL_C) requests.interrupt();
      if (key === SHIFT_S) requests.goOn();
      if (key === SHIFT_P) requests.pause();
    }
  };
  process.on("SIGINT", interrupt);
  process.on("SIGHUP", hangUp);
  process.on("SIGTERM", leave);
  if (interactive) {
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on("data", onData);
    // When the terminal goes away, the input ends, sometimes before the signal arrives.
    process.stdin.once("end", hangUp);
  }
  return () => {
    process.off("SIGINT", interrupt);
    process.off("SIGHUP", hangUp);
    process.off("SIGTERM", leave);
    if (!interactive) return;
    process.stdin.off("data", onData);
    process.stdin.off("end", hangUp);
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
    process.stdin.pause();
  };
}
