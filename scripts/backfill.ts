import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Capability } from '../capability/capability.ts';
import { type CapabilityRow, change, evidenceInForce, readCapability } from '../capability/control-store.ts';
import { referencesOf } from '../sync/worker.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  capabilityNamed,
  command,
  commonOptions,
  configOf,
  connectAs,
  type Output,
  serverOptions,
  withControl,
} from './command.ts';
import { obstacle, tablesOf } from './following.ts';

/** `12,345` */
const number = (value: number) => value.toLocaleString('en-US');

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

const pollMs = 200;
const workerMsMax = 15_000;

/** Follows the worker until every table is complete. @throws CommandError when nothing can move */
async function follow(sql: Connection, capability: Capability, output: Output): Promise<TableProgress[]> {
  const start = performance.now();
  let rowsAtStart: number | undefined;
  let obstacleSince: number | undefined;
  for (;;) {
    const tables = await progressOf(sql, capability);
    const done = tables.reduce((sum, each) => sum + each.done, 0);
    const total = tables.reduce((sum, each) => sum + (each.total ?? each.done), 0);
    rowsAtStart ??= done;
    const isComplete = tables.every(({ state }) => state === 'complete');
    const rate = (done - rowsAtStart) / Math.max(0.001, (performance.now() - start) / 1000);
    const current =
      tables.find(({ state }) => state === 'running')?.table ?? (isComplete ? 'complete' : 'waiting');
    if (!output.json)
      output.progress(
        `${current}: ${number(done)} of ${number(total)} rows, ${number(Math.round(rate))} rows/s, ${rate > 0 ? Math.ceil(Math.max(0, total - done) / rate) : '?'} s left`,
        isComplete,
      );
    if (isComplete) return tables;
    const reason = await obstacle(sql, capability);
    obstacleSince = reason ? (obstacleSince ?? performance.now()) : undefined;
    if (reason && (reason.startsWith('the stream') || performance.now() - (obstacleSince ?? 0) > workerMsMax))
      throw new CommandError(reason);
    await delay(pollMs);
  }
}

async function recordEvidence(
  control: Connection,
  name: string,
  tables: readonly TableProgress[],
  actor: string,
): Promise<CapabilityRow> {
  const now = await readCapability(control, name);
  if (!now) throw new CommandError(`${name} has gone from the control store meanwhile: run "banyan install"`);
  const rows = tables.reduce((sum, each) => sum + each.done, 0);
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
    ...commonOptions,
    ...serverOptions,
    ...actorOption,
    again: { type: 'flag', help: 'Read everything once more, also what is complete.' },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    const capability = capabilityNamed(config, words);
    const { name } = capability;
    return withControl(values, async (control) => {
      const before = await readCapability(control, name);
      if (!before) throw new CommandError(`${name} is not in the control store: run "banyan install"`);
      if (before.phase === 'owned' || before.phase === 'retired')
        throw new CommandError(`${name} is in ${before.phase}: the service owns it, and legacy follows`);
      const sql = await connectAs('services', 'banyan_cli', values);
      const start = performance.now();
      try {
        await ask(sql, capability, values.again);
        const tables = await follow(sql, capability, output);
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
        const rows = tables.reduce((sum, each) => sum + each.done, 0);
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
