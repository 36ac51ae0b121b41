/** True for a statement of a repair that has to be committed before the others begin, or cannot be in a transaction. */
export const isOutside = (statement: string): boolean =>
  /^(?:ALTER TYPE .* ADD VALUE|REINDEX) /.test(statement);

/** True for a statement of a repair that only says something. */
export const isComment = (statement: string): boolean => statement.startsWith("--");

/** Makes a comment of all lines of a text, some of which may be comments: names can have several lines. */
export const comment = (text: string): string =>
  text
    .split("\n")
    .map((line) => `-- ${line.replace(/^-- /, "")}`)
    .join("\n");
