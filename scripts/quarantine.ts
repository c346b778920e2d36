import type { RowDataPacket } from 'mysql2/promise';
import { CommandError, command, commonOptions, configOf, connectAs, serverOptions } from './command.ts';

type Held = {
  readonly capability: string;
  readonly source: string;
  readonly table: string;
  readonly key: string;
  readonly field: string;
  readonly reason: string;
  readonly since: string;
};

export const quarantineCommand = command({
  name: 'quarantine',
  words: 'list | retry',
  summary: 'Rows that no translator accepts: which, and why; or have the worker try them again.',
  help: `
A row in quarantine blocks the next gate, not the stream. It leaves by itself when the row is mended on its side, or
deleted there. After a translator was mended, "banyan quarantine retry" has the worker translate what it holds again.`,
  options: {
    ...commonOptions,
    ...serverOptions,
    rowsMax: { type: 'integer', default: 50, min: 1, max: 10_000, help: 'How many rows at the most.' },
  },
  async run({ values, words, output }) {
    const [verb] = words;
    if (words.length !== 1 || (verb !== 'list' && verb !== 'retry'))
      throw new CommandError('say "quarantine list" or "quarantine retry"', { exitCode: 2 });
    await configOf(values);
    const rows: Held[] = [];
    let asked = 0;
    for (const server of ['services', 'legacy'] as const) {
      const sql = await connectAs(server, 'banyan_cli', values);
      if (verb === 'retry') {
        const [done] = await sql.query(
          'UPDATE banyan.banyan_quarantine SET retry = TRUE WHERE image IS NOT NULL',
        );
        asked += 'affectedRows' in done ? done.affectedRows : 0;
      }
      const [found] = await sql.query<RowDataPacket[]>(
        `SELECT capability, source, table_name, CAST(row_key AS CHAR CHARACTER SET utf8mb4) AS row_key, field, reason, DATE_FORMAT(since, '%Y-%m-%dT%T') AS since
         FROM banyan.banyan_quarantine ORDER BY id LIMIT ?`,
        [values.rowsMax],
      );
      for (const row of found)
        rows.push({
          capability: row.capability,
          source: row.source,
          table: row.table_name,
          key: row.row_key,
          field: row.field,
          reason: row.reason,
          since: row.since,
        });
      sql.destroy();
    }
    for (const { since, capability, source, table, key, field, reason } of rows)
      output.say(`${since}Z  ${capability} from ${source}  ${table} ${key}  ${field}: ${reason}`);
    if (rows.length === 0) output.say('nothing is in quarantine');
    if (verb === 'retry') output.say(`${asked} rows will be tried again by the worker`);
    return { result: verb === 'retry' ? { asked } : { rows } };
  },
});
