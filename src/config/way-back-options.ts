import { option } from "./option.ts";

/** The way back that a move leaves open. */
export const REVERSIBLE = {
  reversibleMs: option(
    "--reversible [time]",
    "keep the way back open for this time after the switch, 24h if none is given: see `shardferry rollback`",
    (v) => v.stay,
    { otherwise: "no way back" },
  ),
  reversibleMaxWalBytes: option(
    "--reversible-max-wal <size>",
    "end the way back when more WAL than this is kept for it",
    (v) => v.byteCount,
    { fallback: 10 * 2 ** 30, otherwise: "10GB" },
  ),
};

/** For the end of a way back whose other island will not come back. */
export const FORCE = option(
  "--force [yes|no]",
  "give up an island that does not answer, and say what is left there",
  (v) => v.yesNo,
  { fallback: false },
);
