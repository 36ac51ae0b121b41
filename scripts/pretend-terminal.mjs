// Loaded before a program (node --import), this makes its pipes look like a terminal of COLUMNS × LINES, so that it draws
// as in a terminal. Works without a pseudo-terminal.
const { COLUMNS = "80", LINES = "24" } = process.env;

for (const stream of [process.stdout, process.stderr])
  Object.assign(stream, { isTTY: true, columns: Number(COLUMNS), rows: Number(LINES) });
Object.assign(process.stdin, { isTTY: true, setRawMode: () => process.stdin });
