/** Milliseconds between two looks at something that is waited for. */
export const POLL_MS = 500;
