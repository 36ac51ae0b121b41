/**
 * Answers a port outside the range that the system gives to outgoing connections: a server finds it free again after a
 * restart, and whoever tries whether it serves already cannot meet somebody else, or itself, there. Whoever uses it
 * must still try another when it is taken.
 */
export const randomPort = (): number => 20_000 + Math.floor(Math.random() * 10_000);
