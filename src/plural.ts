/** `1 shard`, `1,234 shards`. */
export const plural = (number: number, word: string): string =>
  `${number.toLocaleString("en-US")} ${word}${number === 1 ? "" : "s"}`;
