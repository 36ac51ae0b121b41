import type { Dsn } from "./dsn.ts";

const MASK = "***";

/**
 * Hides passwords that can be recognized by their form: in URLs, in `password=…` and after `--password`. In a URL
 * everything up to the last `@` is hidden, since the password may contain an unescaped `@`, `/` or `?`.
 */
export function maskPassword(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@,]*):(?:(?!,[a-z][a-z0-9+.-]*:\/\/)\S)*@/gi, `$1:${MASK}@`)
    .replace(
      /\b((?:ssl)?password|PGPASSWORD)(\s*=\s*)(?:'(?:[^'\\]|\\.)*'|"[^"]*"|[^\s&'",;]+)/gi,
      `$1$2${MASK}`,
    );
}

/**
 * Hides every password in a text: those that can be recognized by their form, and those of the given DSNs wherever they
 * occur. A password that equals a user, a host or a database is left, because it cannot be distinguished from them.
 */
export function redact(text: string, dsns: readonly Dsn[] = []): string {
  const open = new Set(dsns.flatMap((dsn) => [dsn.user, dsn.host, dsn.database]));
  const secrets = dsns
    .flatMap(({ password, params }) => [password, params["sslpassword"]])
    .filter((secret): secret is string => secret !== undefined && secret !== "" && !open.has(secret))
    .flatMap((secret) => [secret, encodeURIComponent(secret), secret.replace(/[\\']/g, "\\$&")]);
  // The longest first, so that a password that contains another one is hidden as a whole.
  const ordered = [...new Set(secrets)].sort((a, b) => b.length - a.length);
  return maskPassword(ordered.reduce((masked, secret) => masked.replaceAll(secret, MASK), text));
}
