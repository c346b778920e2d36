import { randomInt } from 'node:crypto';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Capability, Side } from '../capability/capability.ts';
import { record } from '../capability/control-store.ts';
import { readFences, readHold } from '../capability/fence.ts';
import { BinlogError } from '../sync/binlog/errors.ts';
import { openBinlog } from '../sync/binlog/reader.ts';
import { type Position, parsePosition, printPosition } from '../sync/position.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import {
  accountUrl,
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  connectionOptions,
  type ServerValues,
  withControl,
} from './command.ts';
import { verdictLines } from './gated.ts';
import { judgeResume, type ResumeFacts, resumeChecks, type StoppedStream } from './resume-checks.ts';

const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');
const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

type Row = {
  readonly stream: string;
  readonly seq: string;
  readonly applies: boolean;
  readonly knownServer: string | null;
  readonly stopAgeMs: number;
  /** By GTID alone: files are the other server's. */
  readonly position: Position;
};

const withoutFiles = ({ gtid, restart }: Position): Position => ({
  gtid,
  at: undefined,
  ...(restart ? { restart: { gtid: restart.gtid, at: undefined } } : {}),
});

/** Of the streams from one side, those that stand because their source is another server. @param target's connection */
async function stoppedStreams(target: Connection, { name }: Capability, side: Side): Promise<Row[]> {
  const [rows] = await target.query<RowDataPacket[]>(
    `SELECT s.capability, CAST(s.seq AS CHAR) AS seq, s.gtid, s.restart, s.source_owner, s.source_server,
       TIMESTAMPDIFF(MICROSECOND, p.since, CURRENT_TIMESTAMP(6)) DIV 1000 AS stopAgeMs
     FROM banyan.banyan_stream s JOIN banyan.banyan_stop p ON p.capability = s.capability AND p.source = s.source
     WHERE s.capability IN (?) AND s.source = ? AND p.code = 'source-changed' AND p.acknowledged_by IS NULL
     ORDER BY s.capability`,
    [[name, referencesOf(name)], side],
  );
  return rows.map((row) => {
    const gtid = row.gtid === null ? undefined : String(row.gtid);
    const restart = row.restart === null ? {} : { restart: parsePosition(String(row.restart)) };
    return {
      stream: String(row.capability),
      seq: String(row.seq),
      applies: row.capability !== name || row.source_owner === side,
      knownServer: row.source_server === null ? null : String(row.source_server),
      stopAgeMs: Number(row.stopAgeMs),
      position: withoutFiles({ gtid, at: undefined, ...restart }),
    };
  });
}

const heartbeatMs = 100;
const giveUpMs = 5_000;

/** Reads on from there, as the worker will, until the first change or heartbeat. */
async function tryReading(
  side: Side,
  from: Position | 'now',
  values: ServerValues,
): Promise<{ server: string | undefined; refusal: string | undefined }> {
  let server: string | undefined;
  try {
    await using reader = await openBinlog({
      connection: connectionOptions(accountUrl(serverOf(side), 'banyan_read', values)),
      serverId: randomInt(2 ** 31, 2 ** 32 - 1),
      from,
      tables: () => false,
      heartbeatMs,
      giveUpMs,
    });
    server = reader.server;
    if (from !== 'now') for await (const _ of reader.events) break;
    return { server, refusal: undefined };
  } catch (error) {
    if (!(error instanceof BinlogError)) throw error;
    if (error.code === 'unreachable') throw new CommandError(`${side}: ${error.message}`, { cause: error });
    return { server, refusal: `${error.message}. ${error.hint}` };
  }
}

async function readFrom(side: Side, { position, ...row }: Row, values: ServerValues): Promise<StoppedStream> {
  const isKnown = position.gtid !== undefined && (!position.restart || position.restart.gtid !== undefined);
  const refusal = isKnown ? (await tryReading(side, position, values)).refusal : undefined;
  return { ...row, gtid: isKnown ? position.gtid : undefined, refusal };
}

async function verifiedAgeMs(values: ServerValues, name: string): Promise<number | undefined> {
  return withControl(values, async (control) => {
    const [[row]] = await control.query<RowDataPacket[]>(
      `SELECT TIMESTAMPDIFF(MICROSECOND, MAX(recorded_at), CURRENT_TIMESTAMP(6)) DIV 1000 AS ms FROM evidence
       WHERE capability = ? AND kind = 'verified' AND withdrawn_at IS NULL`,
      [name],
    );
    return row === undefined || row.ms === null ? undefined : Number(row.ms);
  });
}

async function gather(
  { name }: Capability,
  side: Side,
  on: Readonly<Record<Side, Connection>>,
  rows: readonly Row[],
  values: ServerValues,
): Promise<ResumeFacts> {
  const { server, refusal } = await tryReading(side, 'now', values);
  if (server === undefined) throw new CommandError(`${side}'s server cannot be read: ${refusal}`);
  const fences = await readFences(on, name);
  if (!fences) throw new CommandError(`${name} is not installed everywhere: run "banyan install"`);
  const streams: StoppedStream[] = [];
  for (const row of rows) streams.push(await readFrom(side, row, values));
  const hold = await readHold(on[side], name);
  return {
    capability: name,
    side,
    server,
    streams,
    fences,
    hold,
    verifiedAgeMs: await verifiedAgeMs(values, name),
  };
}

/** Position and stop in one transaction; a worker that has the old number in hand loses its compare-and-set. */
async function letGoOn(
  target: Connection,
  side: Side,
  { stream, seq, position }: Row,
  server: string,
  actor: string,
): Promise<void> {
  await target.beginTransaction();
  try {
    const [moved] = await target.query<ResultSetHeader>(
      `UPDATE banyan.banyan_stream SET seq = seq + 1, file = NULL, pos = NULL, restart = ?, source_server = ?
       WHERE capability = ? AND source = ? AND seq = ?`,
      [position.restart ? printPosition(position.restart) : null, server, stream, side, seq],
    );
    const [told] = await target.query<ResultSetHeader>(
      `UPDATE banyan.banyan_stop SET acknowledged_by = ?
       WHERE capability = ? AND source = ? AND code = 'source-changed' AND acknowledged_by IS NULL`,
      [actor.slice(0, 128), stream, side],
    );
    if (moved.affectedRows !== 1 || told.affectedRows !== 1)
      throw new CommandError(`${stream} from ${side} has moved meanwhile: look at "banyan status"`);
    await target.commit();
  } catch (error) {
    await target.rollback();
    throw error;
  }
}

function sideAsked(given: string | undefined): Side {
  if (given === 'legacy' || given === 'service') return given;
  throw new CommandError(
    'whose server is another one? --source-changed legacy, or --source-changed service',
    {
      exitCode: 2,
    },
  );
}

function checkWords({ override, reason }: { override: readonly string[]; reason: string | undefined }): void {
  const unknown = override.find((each) => each !== 'verified');
  if (unknown !== undefined)
    throw new CommandError(
      `--override: only "verified" may be overridden; "${unknown}" ${resumeChecks.some((each) => each === unknown) ? 'must hold' : 'is no check of this'}`,
      { exitCode: 2 },
    );
  if (override.length > 0 && !reason)
    throw new CommandError('--override needs a --reason: whoever reads the audit will ask', { exitCode: 2 });
}

export const resumeCommand = command({
  name: 'resume',
  words: 'CAPABILITY --source-changed SIDE [--execute]',
  summary: 'Lets streams go on that stopped because their source is another server: after a fail-over.',
  help: `
A stream reads one server. When the address leads to another one it stops before it has read anything there: that server may
have lost the last transactions, or have an old fence row. This looks whether the fences of both sides belong together, whether
the new server has logged what the stream has read and gives what comes after it, and whether a verification is younger than
the stop. With --execute the running worker goes on there, by GTID. docs/change-of-owner.md, "When a server is gone".`,
  options: {
    ...actingOptions,
    sourceChanged: { type: 'text', help: 'legacy or service: whose server is another one.' },
    execute: { type: 'flag', help: 'Do it; without it the checks are made, and nothing else.' },
    override: {
      type: 'list',
      help: '"verified": you answer for what was not verified since; needs --reason, and is in the audit.',
    },
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const capability = capabilityNamed(await configOf(values), words);
    const { name } = capability;
    const side = sideAsked(values.sourceChanged);
    checkWords(values);
    const legacy = await connectAs('legacy', 'banyan_cli', values);
    const service = await connectAs('services', 'banyan_cli', values);
    try {
      const on = { legacy, service };
      const target = on[other(side)];
      const rows = await stoppedStreams(target, capability, side);
      if (rows.length === 0) {
        output.say(`no stream of ${name} from ${side} stands because its source is another server`);
        return {
          result: { capability: name, source: side, executed: false, ok: true, streams: [], gates: [] },
        };
      }
      const facts = await gather(capability, side, on, rows, values);
      const gates = judgeResume(facts, values.override);
      for (const line of verdictLines(gates)) output.say(line);
      const ok = gates.every(({ verdict }) => verdict !== 'fail');
      const result = {
        capability: name,
        source: side,
        executed: ok && values.execute,
        ok,
        server: facts.server,
        streams: rows.map(({ stream, knownServer, position }) => ({
          stream,
          was: knownServer,
          position: printPosition(position),
        })),
        gates,
      };
      if (!ok || !values.execute) {
        output.say(
          ok ? 'every check holds: --execute does it' : 'some checks do not hold; nothing was changed',
        );
        return { result, exitCode: ok ? 0 : 3 };
      }
      const actor = actorOf(values.actor);
      for (const row of rows) await letGoOn(target, side, row, facts.server, actor);
      await withControl(values, (control) =>
        record(control, name, {
          actor,
          action: 'resume',
          reason: values.reason,
          detail: { source: side, server: facts.server, streams: result.streams, gates },
        }),
      );
      output.say(
        `${rows.map(({ stream }) => stream).join(' and ')} from ${side} may go on at ${facts.server}`,
      );
      output.say(`next: banyan status, then banyan verify ${name}`);
      return { result };
    } finally {
      legacy.destroy();
      service.destroy();
    }
  },
});
