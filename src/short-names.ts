/**
 * Returns short names for islands: without what they all have in common at the end (domain, port, database), and without the
 * host if that is the same. All lose the same, so no two become equal.
 */
export function shortNames(names: readonly string[]): (name: string) => string {
  const different = [...new Set(names)].map(partsOf);
  if (different.length < 2) return (name) => name;
  const shortest = Math.min(...different.map(({ length }) => length));
  const first = different[0]!;
  const same = (i: number): boolean => different.every((parts) => parts.at(i) === first.at(i));
  let end = 0;
  while (end < shortest - 1 && same(-1 - end)) end++;
  let host = 0;
  while (host < shortest - end - 1 && same(host)) host++;
  // Half a host name says nothing: its beginning goes only with all of it.
  const whole = different.every((parts) => /^[:/]/.test(parts[host]!));
  return (name) => {
    const parts = partsOf(name);
    return parts.slice(whole ? host : 0, parts.length - end).join("");
  };
}

/** `db1`, `.eu`, `.example`, `:5432`, `/app`; an IP address is one part. */
const partsOf = (name: string): string[] =>
  /^(\[|[\d.]+(?=[:/]|$))/.test(name) ? name.split(/(?=[:/](?![^[]*\]))/) : name.split(/(?=[.:/])/);
