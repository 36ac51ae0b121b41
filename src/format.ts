/** `1,234,567`, of a whole number; to load the locales for that took 17 ms. */
export const count = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

/** `1 shard`, `1,234 shards`. */
export const plural = (number: number, word: string): string =>
  `${count(number)} ${word}${number === 1 ? "" : "s"}`;
