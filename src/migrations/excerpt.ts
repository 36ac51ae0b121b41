/** Shows a place in a text: `file:line`, the line, and a caret below the character. */
export function excerpt(source: string, text: string, offset: number): string {
  const at = Math.max(0, Math.min(offset, text.length));
  const begin = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  const line = text.slice(begin, end < 0 ? undefined : end).replace(/\r$/, "");
  // Tabs stay tabs, so that the caret is where the terminal shows the character.
  const indent = text.slice(begin, at).replace(/[^\t]/g, " ");
  return `${source}:${lineOf(text, at)}\n  ${line}\n  ${indent}^`;
}

/** The number of the line of an offset, from 1. */
const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;
