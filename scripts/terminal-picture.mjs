// Turns the terminal output of a program into an animated SVG. Renderers without animation, and readers who prefer none,
// see the last frame.
import headless from "@xterm/headless";

const CELL = { width: 8.4, height: 18, margin: 16 };
const FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
/** Of the terminal itself, so that the picture looks the same on light and dark pages. */
const BACKGROUND = "#0d1117";
const FOREGROUND = "#e6edf3";
/** The first eight colors of a terminal; the bright ones are shown like these. */
const COLORS = ["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"];
/** A frame that was shown for less time is left out. */
const SHORTEST_MS = 150;

/**
 * Draws a recording: texts with the time at which each was written.
 *
 * @param {{ at: number, text: string }[]} recording
 * @param {{ columns: number, rows: number, title: string, lastFrameMs: number }} options
 * @returns {Promise<string>} the SVG
 */
export async function drawRecording(recording, { columns, rows, title, lastFrameMs }) {
  const frames = withTimes(await readFrames(recording, columns, rows), lastFrameMs);
  const lines = [...new Set(frames.flatMap(({ screen }) => screen))].filter(Boolean);
  const ids = new Map(lines.map((line, i) => [line, `l${i}`]));
  const [width, height] = [columns * CELL.width, rows * CELL.height];
  const film = frames.map(({ screen }, i) => {
    const uses = screen.map((line, y) =>
      line ? `<use href="#${ids.get(line)}" y="${y * CELL.height}"/>` : "",
    );
    return `<g transform="translate(${round(i * width)})">${uses.join("")}</g>`;
  });
  const [outerWidth, outerHeight] = [width + 2 * CELL.margin, height + 2 * CELL.margin];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(outerWidth)} ${outerHeight}" role="img">
<title>${escape(title)}</title>
<style>${style(frames, width)}</style>
<defs>
${lines.map((line) => `<text id="${ids.get(line)}" y="${CELL.height - 5}">${line}</text>`).join("\n")}
</defs>
<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>
<svg x="${CELL.margin}" y="${CELL.margin}" width="${round(width)}" height="${height}"><g class="film">
${film.join("\n")}
</g></svg>
</svg>
`;
}

/** Returns the screen after each text, with its lines as SVG. */
async function readFrames(recording, columns, rows) {
  const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
  const frames = [];
  for (const { at, text } of recording) {
    await new Promise((resolve) => terminal.write(text, resolve));
    const buffer = terminal.buffer.active;
    const screen = Array.from({ length: rows }, (_, y) => drawLine(buffer.getLine(buffer.viewportY + y)));
    frames.push({ at, screen });
  }
  return frames;
}

/**
 * Draws a line as runs of the same style without wide gaps, each at its own column, so that no font shifts the text after
 * a wide character, and no renderer loses the spaces of a table.
 */
function drawLine(line) {
  const runs = [];
  for (let x = 0; x < line.length; x++) {
    const cell = line.getCell(x);
    if (cell.getWidth() === 0) continue;
    const styled = attributes(cell);
    if (runs.at(-1)?.styled !== styled) runs.push({ x, styled, text: "" });
    runs.at(-1).text += cell.getChars() || " ";
  }
  const words = runs.flatMap(({ x, styled, text }) =>
    [...text.matchAll(/\S+( \S+)*/g)].map((match) => ({ x: x + match.index, styled, text: match[0] })),
  );
  return words
    .map(({ x, styled, text }) => `<tspan x="${round(x * CELL.width)}"${styled}>${escape(text)}</tspan>`)
    .join("");
}

function attributes(cell) {
  const color = cell.isFgPalette() ? ` fill="${COLORS[cell.getFgColor() % COLORS.length]}"` : "";
  const bold = cell.isBold() ? ' font-weight="bold"' : "";
  return color + bold + (cell.isDim() ? ' fill-opacity=".6"' : "");
}

/** Returns the frames that differ from the previous one, and how long each is shown. */
function withTimes(frames, lastFrameMs) {
  const kept = [];
  for (const frame of frames) {
    const before = kept.at(-1);
    if (before && frame.screen.join() === before.screen.join()) continue;
    if (before && frame.at - before.at < SHORTEST_MS) kept[kept.length - 1] = { ...frame, at: before.at };
    else kept.push(frame);
  }
  return kept.map((frame, i) => ({
    ...frame,
    durationMs: i + 1 < kept.length ? kept[i + 1].at - frame.at : lastFrameMs,
  }));
}

/** Shows the frames one after another by moving the film; without animation, shows the last one. */
function style(frames, width) {
  const total = frames.reduce((sum, { durationMs }) => sum + durationMs, 0);
  let elapsed = 0;
  const keys = frames.map(({ durationMs }, i) => {
    const key = `${round((100 * elapsed) / total)}%{transform:translateX(${round(-i * width)}px)}`;
    elapsed += durationMs;
    return key;
  });
  const last = round(-(frames.length - 1) * width);
  return `
text{font:14px ${FONT};fill:${FOREGROUND}}
.film{transform:translateX(${last}px);animation:play ${round(total / 1000)}s step-end infinite}
@keyframes play{${keys.join("")}}
@media (prefers-reduced-motion:reduce){.film{animation:none}}
`;
}

const round = (number) => Number(number.toFixed(2));
const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
