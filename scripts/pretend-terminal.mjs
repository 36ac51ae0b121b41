// Loaded before a program (node --import): its pipes look like a terminal of COLUMNS × LINES, so that it draws what it
// would draw there. Works where no pseudo-terminal is to be had.
const { COLUMNS = "80", LINES = "24" } = process.env;

Object.assign(process.stdout, { isTTY: true, columns: Number(COLUMNS), rows: Number(LINES) });
Object.assign(process.stdin, { isTTY: true, setRawMode: () => process.stdin });
