// Looks up what the gates judge: each fact where it is true, none of them remembered.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { type BanyanConfig, type Capability, isMirrored, type Side } from '../capability/capability.ts';
import { readCapability } from '../capability/control-store.ts';
import { readFences } from '../capability/fence.ts';
import { fencedTables, readFenceModes } from '../capability/fence-triggers.ts';
import { type Facts, usualLimits } from '../capability/gate.ts';
import type { Gated } from '../capability/gates.ts';
import { type ReplicaRow, readReplicas } from '../capability/replicas.ts';
import { readWriters } from '../capability/writers.ts';
import { type Counter, type CounterEnds, countersOf } from '../sync/raise-counters.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import { ChangeSessions } from './change-sessions.ts';
import { CommandError, connectAs, type ServerValues } from './command.ts';
import { lookAround } from './doctor.ts';
import { type AdminValues, adminToken, onFacade, statusAt } from './facade-admin.ts';
import { Facades } from './facades.ts';
import { readParity } from './parity.ts';
import { readProofs, streamsFrom } from './stream-status.ts';

export type FactsInput = {
  readonly config: BanyanConfig;
  readonly capability: Capability;
  readonly values: ServerValues;
  readonly control: Connection;
  readonly sessions: ChangeSessions;
  readonly facades: Facades;
  /** Of the facades' admin listeners. */
  readonly token: string;
};

const sides = ['legacy', 'service'] as const;

/** What facts are gathered with, and what ends it. @throws CommandError without a token: facades must be asked */
export async function openFactsInput(
  config: BanyanConfig,
  capability: Capability,
  values: ServerValues & AdminValues,
): Promise<FactsInput & Disposable> {
  const token = adminToken(values);
  if (!token)
    throw new CommandError(
      'the facades must be asked: give --admin-token or BANYAN_ADMIN_TOKEN (one for all of them)',
      { exitCode: 2 },
    );
  const control = await connectAs('control', 'banyan_cli', values);
  const sessions = new ChangeSessions((side) =>
    connectAs(side === 'legacy' ? 'legacy' : 'services', 'banyan_cli', values),
  );
  return {
    config,
    capability,
    values,
    control,
    sessions,
    facades: new Facades(control, token),
    token,
    [Symbol.dispose]: () => {
      sessions[Symbol.dispose]();
      control.destroy();
    },
  };
}

/** @throws CommandError where the capability is not installed, or a server does not answer */
export async function gatherFacts(input: FactsInput, move: Gated): Promise<Facts> {
  const { config, capability, values, control, sessions, facades } = input;
  const { name } = capability;
  const row = await readCapability(control, name);
  const on = await sessions.both();
  const fences = await readFences(on, name);
  if (!row || !fences) throw new CommandError(`${name} is not installed everywhere: run "banyan install"`);
  const own = (stream: string) => stream === name || stream === referencesOf(name);
  const streams = (await Promise.all(sides.map((side) => streamsFrom(side, values))))
    .flat()
    .filter(({ capability: stream }) => own(stream))
    // A stream that was ended for good is missed only by who wants to go back.
    .filter(({ mode }) => mode !== 'retired' || move === 'rollback');
  const proofs = (await readProofs(values)).filter(({ capability: stream }) => own(stream));
  const ages = await readAges(control, name);
  const replicas = await facades.look(name, 0);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
  // Doctor looks at everything, and takes its time; on the way back it would only say what was so on the way there.
  const findings = move === 'cutover' ? await lookAround(config, values) : [];
  return {
    phase: row.phase,
    phaseAgeMs: ages.phase ?? 0,
    fences,
    backfilledAgeMs: ages.backfilled,
    verifiedAgeMs: ages.verified,
    isWorkerRunning: await hasWorker(on.service, name),
    streams: streams.map(({ capability: stream, source, lagSeconds, stop, goesOnBy, mode }) => ({
      stream,
      source,
      lagMs: lagSeconds === null ? null : lagSeconds * 1_000,
      stop:
        mode === 'retired'
          ? { why: '"banyan retire" has ended it, for good', goesOnBy: 'nothing brings it back' }
          : stop === null
            ? null
            : { why: stop, goesOnBy: goesOnBy ?? 'see banyan status' },
    })),
    quarantined: sum(streams.map(({ quarantined }) => quarantined)),
    unproven: sum(proofs.map(({ unproven }) => unproven)),
    skipped: await skippedOf(on.service, name, fences.legacy.owner),
    mismatched: sum(proofs.map(({ mismatched }) => mismatched)),
    reads: await readsServed(await readReplicas(control), input.token, name),
    parity: await parityOf(input, fences.legacy.epoch),
    replicas,
    fenceModes: await fenceModes(input),
    writers: await Promise.all(
      sides.map(async (side) => {
        const { since, writers } = await readWriters(on[side], capability, side);
        return {
          side,
          observedMs: since === undefined ? undefined : Date.now() - Date.parse(`${since}Z`),
          undeclared: writers
            .filter(({ declared }) => !declared)
            .map(({ user, host }) => `${user}@${host} on ${side}`),
        };
      }),
    ),
    tripwires: await readTripwires(on, name),
    ...entanglements(config, name),
    untranslated: capability.routes
      .filter((route) => route.kind === 'write' && !route.translate)
      .map(({ method, path }) => `${method} ${path}`),
    refusals: findings
      .filter((finding) => finding.severity === 'refuse' && [undefined, name].includes(finding.capability))
      .map(({ code, object, what }) => ({ code, object, what })),
    shortCounters: await shortCounters(input, fences.legacy.owner, on),
  };
}

/** Routes of legacy, or of other capabilities, that touch the tables of this one. */
function entanglements(config: BanyanConfig, name: string): Pick<Facts, 'unremedied' | 'entangled'> {
  const routes = [...(config.legacy.routes ?? []), ...config.capabilities.flatMap((each) => each.routes)];
  const said = ({ method, path }: (typeof routes)[number]) => `${method} ${path}`;
  const writing = routes.filter((route) => route.kind === 'write' && route.alsoWrites?.includes(name));
  const reading = routes.filter((route) => route.kind === 'read' && route.alsoReads?.includes(name));
  return {
    unremedied: writing.filter((route) => route.kind === 'write' && route.remedy === undefined).map(said),
    entangled: [...writing, ...reading].map(said),
  };
}

/** How old each is, by the control store's clock, in milliseconds. */
async function readAges(
  control: Connection,
  name: string,
): Promise<{ phase?: number; backfilled?: number; verified?: number }> {
  const [rows] = await control.query<RowDataPacket[]>(
    `SELECT 'phase' AS what, TIMESTAMPDIFF(MICROSECOND, changed_at, CURRENT_TIMESTAMP(6)) DIV 1000 AS ms
       FROM banyan.capability WHERE name = ?
     UNION ALL SELECT kind, TIMESTAMPDIFF(MICROSECOND, MAX(recorded_at), CURRENT_TIMESTAMP(6)) DIV 1000
       FROM banyan.evidence WHERE capability = ? AND withdrawn_at IS NULL GROUP BY kind`,
    [name, name],
  );
  const age = (what: string) => {
    const row = rows.find((each) => each.what === what);
    return row === undefined ? {} : { [what]: Number(row.ms) };
  };
  return { ...age('phase'), ...age('backfilled'), ...age('verified') };
}

async function hasWorker(services: Connection, name: string): Promise<boolean> {
  const [rows] = await services.query<RowDataPacket[]>(
    'SELECT 1 FROM banyan.banyan_worker WHERE capability = ? AND lease_until >= UNIX_TIMESTAMP(SYSDATE(6))',
    [name],
  );
  return rows.length > 0;
}

async function readTripwires(
  on: Readonly<Record<Side, Connection>>,
  name: string,
): Promise<Facts['tripwires']> {
  const found = await Promise.all(
    sides.map((side) =>
      on[side].query<RowDataPacket[]>(
        `SELECT source, what, TIMESTAMPDIFF(MICROSECOND, last_at, CURRENT_TIMESTAMP(6)) DIV 1000 AS ageMs
         FROM banyan.banyan_tripwire WHERE capability = ?`,
        [name],
      ),
    ),
  );
  return found
    .flatMap(([rows]) => rows)
    .map(({ source, what, ageMs }) => ({
      source: source === 'legacy' ? 'legacy' : 'service',
      what: String(what),
      ageMs: Number(ageMs),
    }));
}

/** As the least of all facades serves it. @returns null where one that is there could not be asked */
async function readsServed(
  rows: readonly ReplicaRow[],
  token: string,
  name: string,
): Promise<Facts['reads']> {
  const all = await Promise.all(rows.map(({ adminUrl }) => statusAt(adminUrl, token)));
  const served = all.flatMap((status) => onFacade(status, name) ?? []);
  if (served.length === 0) return null;
  const sum = (of: (each: (typeof served)[number]) => number) =>
    served.reduce((total, each) => total + of(each), 0);
  return {
    percent: Math.min(...served.map(({ effectivePercent }) => effectivePercent ?? 0)),
    // What fell back was legacy's answer all the same.
    service: sum(({ unpinnedReadsLastMinute: { service }, fallbacksLastMinute }) =>
      Math.max(0, service - fallbacksLastMinute),
    ),
    legacy: sum(
      ({ unpinnedReadsLastMinute: { legacy }, fallbacksLastMinute }) => legacy + fallbacksLastMinute,
    ),
  };
}

/** Of what was mirrored while the present owner owns. @returns null where no facade could be asked */
async function parityOf({ capability, control, token }: FactsInput, epoch: bigint): Promise<Facts['parity']> {
  const minutes = capability.gates?.parityMinutes ?? usualLimits.parityMinutes;
  const summed = await readParity(await readReplicas(control), token, capability.name, minutes);
  if (summed.epoch === null) return null;
  const routes = summed.epoch === epoch.toString() ? summed.routes : [];
  const ages = routes.flatMap(({ newestAgeMs }) => newestAgeMs ?? []);
  return {
    mirrored: capability.routes.filter(isMirrored).length,
    routes: routes.map(({ route, compared, different }) => ({ route, compared, different })),
    ageMs: ages.length === 0 ? null : Math.min(...ages),
  };
}

export const schemaOf = (config: BanyanConfig, capability: Capability, side: Side): string =>
  side === 'legacy' ? config.legacy.database : capability.service.database;

export async function fenceModes({
  config,
  capability,
  sessions,
}: Pick<FactsInput, 'config' | 'capability' | 'sessions'>): Promise<Facts['fenceModes']> {
  const found = await Promise.all(
    sides.map(async (side) => {
      const tables = fencedTables(capability, side);
      const schema = schemaOf(config, capability, side);
      const modes = await readFenceModes(await sessions.sql(side), schema, tables, capability.name, side);
      return tables.map((table) => ({ side, table, mode: modes.get(table) ?? ('off' as const) }));
    }),
  );
  return found.flat();
}

/** The owner's counters beside those of the side that shall own. @param sql of each side */
export const counterEnds = (
  { config, capability }: Pick<FactsInput, 'config' | 'capability'>,
  from: Side,
  sql: Readonly<Record<Side, Connection>>,
): CounterEnds => {
  const end = (side: Side) => ({ side, sql: sql[side], schema: schemaOf(config, capability, side) });
  return { capability, source: end(from), target: end(from === 'legacy' ? 'service' : 'legacy') };
};

/** Counters that the side which shall own cannot be given above the owner's. */
async function shortCounters(
  input: FactsInput,
  owner: Side,
  on: Readonly<Record<Side, Connection>>,
): Promise<string[]> {
  const counters = await countersOf(counterEnds(input, owner, on));
  return counters.filter(({ room }) => !room).map(describeCounter);
}

export const describeCounter = ({ table, column, source, target }: Counter): string =>
  `${table}.${column} is at ${target}, the owner's at ${source}`;

/** Changes of the owner's that the worker will not look at again by itself. */
async function skippedOf(services: Connection, name: string, owner: Side): Promise<number> {
  const [[row]] = await services.query<RowDataPacket[]>(
    'SELECT COALESCE(SUM(skipped), 0) AS skipped FROM banyan.banyan_touched WHERE capability = ? AND source = ?',
    [name, owner],
  );
  return Number(row?.skipped);
}
