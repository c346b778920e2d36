// What the fence costs a writer: a table with enforcing triggers beside the same table without, on the same server, in turn.
import type { Connection } from 'mysql2/promise';
import { runToEnd } from '../scripts/supervise.ts';
import { inRounds, type Measured, median } from './measure.ts';
import { type Bench, cli, connect, insertRows, onStage, prepare } from './stage.ts';

const rounds = 5;
const bulkRows = 1_000;

const fenced = 'TB_NOTE';
const open = 'TB_OPEN';

const into = (table: string, from: number, count: number) =>
  insertRows(from, count).replace(`INTO ${fenced}`, `INTO ${table}`);

/** @returns rows per second; one statement is one transaction */
async function rate(
  sql: Connection,
  table: string,
  from: number,
  statements: number,
  rows: number,
): Promise<number> {
  const begin = performance.now();
  for (let each = 0; each < statements; each++) await sql.query(into(table, from + each * rows, rows));
  return (statements * rows) / ((performance.now() - begin) / 1_000);
}

/** Pairs, each in the other order than the one before: whoever comes second writes to a fuller server. */
async function pairs(sql: Connection, from: number, statements: number, rows: number) {
  const rates: { ours: number; peer: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const at = from + round * statements * rows;
    const tables = round % 2 === 0 ? [fenced, open] : [open, fenced];
    const found = new Map<string, number>();
    for (const table of tables) found.set(table, await rate(sql, table, at, statements, rows));
    rates.push({ ours: found.get(fenced) ?? Number.NaN, peer: found.get(open) ?? Number.NaN });
  }
  return rates;
}

const microseconds = (rates: readonly { ours: number; peer: number }[]) => {
  const ours = median(rates.map((each) => 1e6 / each.ours));
  const peer = median(rates.map((each) => 1e6 / each.peer));
  return `${ours.toFixed(1)} us a row against ${peer.toFixed(1)}: ${(ours - peer).toFixed(1)} us more`;
};

async function enforce(bench: Bench): Promise<void> {
  const { words, env } = cli(bench);
  const { runFolder } = bench;
  await runToEnd({
    name: 'fence',
    runFolder,
    run: words('fence', 'notes', '--enforce', '--execute', '--json'),
    env,
  });
}

export const benchFence = (size: number): Promise<Measured[]> =>
  onStage('fence', async (bench) => {
    await prepare(bench);
    const sql = await connect(bench.legacy, 'bench');
    await sql.query("SET SESSION sql_mode = ''");
    await sql.query(`CREATE TABLE ${open} LIKE ${fenced}`);
    await enforce(bench);
    const many = (full: number) => Math.max(5, Math.round(full * size));
    const bulk = await pairs(sql, 1, many(100), bulkRows);
    const single = await pairs(sql, 10_000_000, many(1_000), 1);
    await sql.end();
    return [
      inRounds(
        `INSERT of ${bulkRows} rows a statement, fenced against not`,
        bulk,
        0.2,
        0.3,
        `rows/s; ${microseconds(bulk)}`,
      ),
      inRounds(
        'transactions of one row, fenced against not',
        single,
        0.7,
        0.9,
        `rows/s; ${microseconds(single)}`,
      ),
    ];
  });
