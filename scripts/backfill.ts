import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Capability } from '../capability/capability.ts';
import { type CapabilityRow, change, evidenceInForce, readCapability } from '../capability/control-store.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  standingOf,
  withControl,
} from './command.ts';
import { follow, number, tablesOf } from './following.ts';

type TableProgress = {
  readonly table: string;
  readonly state: string;
  readonly total: number | null;
  readonly done: number;
  readonly refused: number;
};

async function ask(sql: Connection, capability: Capability, again: boolean): Promise<void> {
  for (const { stream, table } of tablesOf(capability))
    await sql.query(
      `INSERT INTO banyan.banyan_backfill (capability, table_name) VALUES (?, ?)
       ON DUPLICATE KEY UPDATE ${again ? "state = 'asked', last_key = NULL, max_key = NULL, rows_done = 0, rows_refused = 0, asked_at = CURRENT_TIMESTAMP(6), finished_at = NULL" : 'state = state'}`,
      [stream, table],
    );
}

async function progressOf(sql: Connection, capability: Capability): Promise<TableProgress[]> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT capability, table_name, state, rows_total, rows_done, rows_refused FROM banyan.banyan_backfill WHERE capability IN (?)',
    [[capability.name, referencesOf(capability.name)]],
  );
  return tablesOf(capability).flatMap(({ stream, table }) => {
    const row = rows.find((each) => each.capability === stream && each.table_name === table);
    return row
      ? [
          {
            table,
            state: String(row.state),
            total: row.rows_total === null ? null : Number(row.rows_total),
            done: Number(row.rows_done),
            refused: Number(row.rows_refused),
          },
        ]
      : [];
  });
}

const rowsOf = (tables: readonly TableProgress[]) => tables.reduce((sum, each) => sum + each.done, 0);

async function recordEvidence(
  control: Connection,
  name: string,
  tables: readonly TableProgress[],
  actor: string,
): Promise<CapabilityRow> {
  const now = await readCapability(control, name);
  if (!now) throw new CommandError(`${name} has gone from the control store meanwhile: run "banyan install"`);
  const rows = rowsOf(tables);
  const to = now.phase === 'legacy' ? 'synced' : now.phase;
  await change(control, {
    capability: name,
    from: now,
    to,
    withdraw: ['backfilled'],
    evidence: { kind: 'backfilled', facts: { rows, tables } },
    deed: { actor, action: 'backfill', detail: { rows } },
  });
  return now;
}

export const backfillCommand = command({
  name: 'backfill',
  words: 'CAPABILITY',
  summary: 'Brings the rows that were there before the stream to the service, while the monolith goes on.',
  help: `
Asks the worker to read the capability's tables and reference tables in chunks, between watermarks of the binlog, and
to apply them through the stream: what is written meanwhile is never overwritten by what is older. Follows it and
says how far it is; interrupt it as you like, the worker goes on, and the same command follows again. Complete at the
greatest key that each table had when it began. With --again everything is read once more.
Exit code 1 when rows were refused by a translator: they are in quarantine (banyan quarantine list), and there is no
evidence until they are mended. Reads need one thing more: "banyan verify", which looks whether all of it is true.`,
  options: {
    ...actingOptions,
    again: { type: 'flag', help: 'Read everything once more, also what is complete.' },
  },
  async run({ values, words, output }) {
    const capability = capabilityNamed(await configOf(values), words);
    const { name } = capability;
    return withControl(values, async (control) => {
      const { phase } = await standingOf(control, name);
      if (phase === 'owned' || phase === 'retired')
        throw new CommandError(`${name} is in ${phase}: the service owns it, and legacy follows`);
      const sql = await connectAs('services', 'banyan_cli', values);
      const start = performance.now();
      try {
        await ask(sql, capability, values.again);
        const tables = await follow(sql, capability, output, async () => {
          const all = await progressOf(sql, capability);
          return {
            tables: all,
            current: all.find(({ state }) => state === 'running')?.table,
            done: rowsOf(all),
            total: all.reduce((sum, each) => sum + (each.total ?? each.done), 0),
            isTotalAbout: false,
            isComplete: all.every(({ state }) => state === 'complete'),
          };
        });
        const seconds = Math.round((performance.now() - start) / 10) / 100;
        const [held] = await sql.query<RowDataPacket[]>(
          'SELECT COUNT(*) AS n FROM banyan.banyan_quarantine WHERE capability IN (?)',
          [[name, referencesOf(name)]],
        );
        const quarantined = Number(held[0]?.n ?? 0);
        for (const each of tables)
          output.say(
            `${each.table}: ${number(each.done)} rows${each.refused > 0 ? `, ${number(each.refused)} refused` : ''}`,
          );
        const isReady = quarantined === 0;
        const inForce = await evidenceInForce(control, name, 'backfilled');
        if (isReady && (!inForce || values.again))
          await recordEvidence(control, name, tables, actorOf(values.actor));
        const rows = rowsOf(tables);
        output.say(
          isReady
            ? `${number(rows)} rows are there, and what is written from now on follows. Next: banyan verify ${name}`
            : `${number(quarantined)} rows are in quarantine: "banyan quarantine list" names them. Reads stay on legacy`,
        );
        return {
          result: { capability: name, ok: isReady, seconds, rows, quarantined, tables },
          exitCode: isReady ? 0 : 1,
        };
      } finally {
        sql.destroy();
      }
    });
  },
});
