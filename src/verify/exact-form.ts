/**
 * The exact form of a value: an expression whose hash differs if the values differ in any way that PostgreSQL keeps. Two
 * values may be equal and still not the same: numeric 1.0 and 1.00, 0.0 and -0.0, '1 day' and '24 hours', texts under a
 * collation that ignores case, jsonb 1.0 and 1.00. And the hash of an enum's value is that of its OID, which differs
 * between servers.
 */

/** What has to be known about the type of a column; a domain is resolved to its base type. */
export interface ColumnType {
  /** Its name, if it is a type of pg_catalog; otherwise null. */
  builtIn: string | null;
  kind: "base" | "array" | "range" | "multirange" | "other";
  /** True for an array or range whose elements are of a type of pg_catalog other than a composite type or a reg* type. */
  builtInElements: boolean;
  /** True if the column is of a domain. */
  domain: boolean;
  /** The function that writes a value as text, quoted. */
  output: string;
}

/** Equal if and only if the same, with a hash function that depends on nothing but the value. */
const BITWISE = new Set(
  (
    "bool int2 int4 int8 oid char name uuid bytea date time timetz timestamp timestamptz " +
    "macaddr macaddr8 inet cidr pg_lsn xid8"
  ).split(" "),
);

/** Strings of characters; under "C", they are compared byte by byte. */
const CHARACTERS = new Set(["text", "varchar"]);

/** Written in binary form, which keeps everything, and contains no OID. */
const SENT: Readonly<Record<string, string>> = {
  numeric: "numeric_send",
  interval: "interval_send",
  money: "cash_send",
  bit: "bit_send",
  varbit: "varbit_send",
};

/**
 * Returns the exact form of a column as SQL. Whatever is not known to be bitwise is hashed as text, by the output function
 * itself: a cast to text may be an extension's own, and lose something.
 *
 * @param expression the column, quoted.
 * @param utf8 converts characters to UTF-8; needed where the encodings of the two databases differ.
 */
export function exactForm(expression: string, type: ColumnType, utf8: boolean): string {
  const inUtf8 = (text: string): string => (utf8 ? `convert_to(${text}, 'UTF8')` : text);
  const { builtIn, kind, builtInElements, domain, output } = type;
  if (builtIn !== null && kind === "base") {
    if (BITWISE.has(builtIn) && !(utf8 && builtIn === "name")) return expression;
    if (CHARACTERS.has(builtIn)) return inUtf8(`(${expression})::text COLLATE "C"`);
    // Calculations may produce a NaN with other bits than the one that is read from text.
    if (builtIn === "float4" || builtIn === "float8")
      return `${builtIn}send(CASE WHEN ${expression} = 'NaN' THEN 'NaN' ELSE ${expression} END)`;
    const send = SENT[builtIn];
    if (send !== undefined) return `${send}(${expression})`;
  }
  // The binary form of an array of a server's own types contains their OIDs.
  if (builtInElements && !domain && !utf8) {
    // The first number after that of dimensions says whether an element was ever NULL.
    if (kind === "array")
      return `overlay(array_send(${expression}) PLACING '\\x00000000'::bytea FROM 5 FOR 4)`;
    if (kind === "range") return `range_send(${expression})`;
    if (kind === "multirange") return `multirange_send(${expression})`;
  }
  return inUtf8(`textin(${output}(${expression})) COLLATE "C"`);
}
