import stringWidth from "string-width";

const ESCAPE = String.fromCharCode(27);
/** A sequence that sets colors; picocolors writes no others. */
const COLOR = new RegExp(`(${ESCAPE}\\[[\\d;]*m)`);
/** Characters that would move the cursor, such as a tab or a newline in a user's SQL. */
const CONTROL = /\p{Cc}/gu;

const letters = new Intl.Segmenter();

/** Cuts a line that is wider than the terminal, and ends it with "…"; colors have no width and are kept. */
export function clip(line: string, columns: number): string {
  const parts = line.split(COLOR).map((part) => (COLOR.test(part) ? part : part.replace(CONTROL, " ")));
  const whole = parts.join("");
  if (stringWidth(whole) <= columns) return whole;
  let room = columns - 1;
  const shown = parts.map((part) => {
    if (COLOR.test(part)) return part;
    let text = "";
    for (const { segment } of letters.segment(part)) {
      if (room < 0) break;
      room -= stringWidth(segment);
      text += room < 0 ? "…" : segment;
    }
    return text;
  });
  return shown.join("");
}
