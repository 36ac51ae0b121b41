const [FIRST, COUNT] = [20_000, 10_000];

/**
 * Returns a port outside the default range of outgoing connections. So the port is still free when a server restarts,
 * and a check whether the server is listening does not meet an unrelated connection, or its own. The caller must try
 * another port if it is taken.
 */
export const randomPort = (): number => FIRST + Math.floor(Math.random() * COUNT);

/** Returns whether `randomPort` can return a port. */
export const isServerPort = (port: number): boolean => port >= FIRST && port < FIRST + COUNT;
