/** What a person or another process asks the running command to do. */
export interface Requests {
  /** ^C, or SIGINT. */
  interrupt(): void;
  /** Shift+S. */
  goOn(): void;
  /** The terminal is gone, or the process is asked to end: leave, and let the work go on. */
  leave(): void;
}

const CTRL_C = "\x03";
const SHIFT_S = "S";

/** Listens to keys and signals; the returned function stops it. */
export function listen(interactive: boolean, requests: Requests): () => void {
  const interrupt = (): void => requests.interrupt();
  const leave = (): void => requests.leave();
  const onData = (data: Buffer): void => {
    for (const key of data.toString()) {
      if (key === CTRL_C) requests.interrupt();
      if (key === SHIFT_S) requests.goOn();
    }
  };
  process.on("SIGINT", interrupt);
  process.on("SIGHUP", leave);
  process.on("SIGTERM", leave);
  if (interactive) {
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on("data", onData);
    // A terminal that goes away ends its input, sometimes before the signal comes.
    process.stdin.once("end", leave);
  }
  return () => {
    process.off("SIGINT", interrupt);
    process.off("SIGHUP", leave);
    process.off("SIGTERM", leave);
    if (!interactive) return;
    process.stdin.off("data", onData);
    process.stdin.off("end", leave);
    try {
      process.stdin.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
    process.stdin.pause();
  };
}
