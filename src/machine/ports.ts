const [FIRST, COUNT] = [20_000, 10_000];

/**
 * Answers a port outside the range that systems by default give to outgoing connections: a server finds it free again
 * after a restart, and whoever tries whether it serves already does not meet a connection of somebody else, or its own.
 * Whoever uses it must still try another when it is taken.
 */
export const randomPort = (): number => FIRST + Math.floor(Math.random() * COUNT);

/** Whether a port is one of those that `randomPort` answers. */
export const isServerPort = (port: number): boolean => port >= FIRST && port < FIRST + COUNT;
