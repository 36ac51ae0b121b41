/** How a database sorts and classifies text by default. Empty where a version of PostgreSQL does not say. */
export interface Locale {
  /** Of its provider: libc, icu or builtin. */
  collate: string;
  ctype: string;
  version: string;
}

/** The columns of pg_database that say so. They differ between versions: daticulocale is datlocale since 17. */
export type LocaleColumns = Readonly<Record<string, string | null>>;

/** Reads the locale of a database from its row in pg_database. */
export function localeOf(database: LocaleColumns): Locale {
  const { datlocprovider, datcollate, datctype, datlocale, daticulocale, daticurules, datcollversion } =
    database;
  const version = datcollversion ?? "";
  if ((datlocprovider ?? "c") === "c")
    return { collate: byCodePoint(canonical(datcollate!)), ctype: canonical(datctype!), version };
  const provider = datlocprovider === "i" ? "icu" : "builtin";
  const ctype = [provider, datlocale ?? daticulocale, daticurules].filter(Boolean).join(" ");
  return { collate: datlocprovider === "i" ? ctype : "C", ctype, version };
}

/** `en_US.UTF-8` and `en_US.utf8` are the same, and so are C and POSIX. */
const canonical = (locale: string): string =>
  locale === "POSIX"
    ? "C"
    : locale.replace(/\..*$/, (encoding) => encoding.toLowerCase().replaceAll("-", ""));

/** `C.UTF-8` sorts as C does; all locales of the builtin provider do, too. */
const byCodePoint = (locale: string): string => (locale.startsWith("C.") ? "C" : locale);
