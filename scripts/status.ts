import type { RowDataPacket } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { readFlag } from '../capability/capability.ts';
import { evidenceInForce, readCapability } from '../capability/control-store.ts';
import { type Flag, readFlagFile, rolloutPercent } from '../capability/flag-file.ts';
import { readInterlock } from '../capability/phase.ts';
import { referencesOf } from '../sync/worker.ts';
import {
  command,
  commonOptions,
  configOf,
  connectAs,
  type ServerValues,
  serverOptions,
  withControl,
} from './command.ts';
import { adminOptions, facadeStatus, flagFile, onFacade } from './facade-admin.ts';

const percent = (value: number | null | undefined) =>
  value === null || value === undefined ? '?' : `${value} %`;

type StreamStatus = {
  readonly capability: string;
  readonly source: Side;
  readonly mode: 'apply' | 'watch' | 'unknown';
  readonly position: string;
  /** Between the newest heartbeat on the source and the newest that the target has passed. */
  readonly lagSeconds: number | null;
  readonly quarantined: number;
  readonly tripwires: number;
  readonly stop: string | null;
};

/** What a target says of the streams that it receives, and how far its source is ahead. */
async function streamsFrom(source: Side, values: ServerValues): Promise<StreamStatus[]> {
  const sourceSql = await connectAs(source === 'legacy' ? 'legacy' : 'services', 'banyan_cli', values);
  const targetSql = await connectAs(source === 'legacy' ? 'services' : 'legacy', 'banyan_cli', values);
  try {
    const [streams] = await targetSql.query<RowDataPacket[]>(
      `SELECT s.capability, s.gtid, s.file, s.pos, s.source_owner, s.source_time,
         (SELECT COUNT(*) FROM banyan.banyan_quarantine q WHERE q.capability = s.capability AND q.source = s.source) AS quarantined,
         (SELECT COALESCE(SUM(seen), 0) FROM banyan.banyan_tripwire t WHERE t.capability = s.capability AND t.source = s.source) AS tripwires,
         (SELECT message FROM banyan.banyan_stop p WHERE p.capability = s.capability AND p.source = s.source AND p.acknowledged_by IS NULL) AS stop
       FROM banyan.banyan_stream s WHERE s.source = ? ORDER BY s.capability`,
      [source],
    );
    const [beats] = await sourceSql.query<RowDataPacket[]>(
      'SELECT capability, at FROM banyan.banyan_heartbeat',
    );
    return streams.map((row) => {
      const base = String(row.capability).split('+')[0];
      const newest = beats.find(({ capability }) => capability === base)?.at;
      const isReferences = row.capability !== base;
      return {
        capability: row.capability,
        source,
        mode:
          isReferences || row.source_owner === source
            ? 'apply'
            : row.source_owner === null
              ? 'unknown'
              : 'watch',
        position: `${row.gtid ?? '?'}@${row.file ?? '?'}:${row.pos ?? '?'}`,
        lagSeconds:
          row.source_time === null || newest === undefined
            ? null
            : Math.max(0, Math.round((Number(newest) - Number(row.source_time)) * 1000) / 1000),
        quarantined: Number(row.quarantined),
        tripwires: Number(row.tripwires),
        stop: row.stop === null ? null : String(row.stop),
      };
    });
  } finally {
    sourceSql.destroy();
    targetSql.destroy();
  }
}

/** Keys that the worker has looked at after applying them, by capability. */
type Proof = {
  readonly capability: string;
  /** Changes that nothing has proven yet; waiting ones are looked at within a second or so. */
  readonly unproven: number;
  /** The part of them that only a verification will prove. */
  readonly skipped: number;
  readonly mismatched: number;
  readonly mismatches: readonly { table: string; key: string; class: string; columns: string }[];
};

const mismatchesShown = 5;

/** What the services' server says of the keys that were applied lately. */
async function readProofs(values: ServerValues): Promise<Proof[]> {
  const sql = await connectAs('services', 'banyan_cli', values);
  try {
    const [touched] = await sql.query<RowDataPacket[]>(
      'SELECT capability, SUM(waiting + skipped) AS unproven, SUM(skipped) AS skipped FROM banyan.banyan_touched GROUP BY capability',
    );
    const [found] = await sql.query<RowDataPacket[]>(
      'SELECT capability, target, source_key, class, columns FROM banyan.banyan_mismatch ORDER BY since',
    );
    const names = new Set([...touched, ...found].map(({ capability }) => String(capability)));
    return [...names].map((capability) => {
      const counted = touched.find((row) => row.capability === capability);
      const own = found.filter((row) => row.capability === capability);
      return {
        capability,
        unproven: Number(counted?.unproven ?? 0),
        skipped: Number(counted?.skipped ?? 0),
        mismatched: own.length,
        mismatches: own.slice(0, mismatchesShown).map((row) => ({
          table: String(row.target),
          key: String(row.source_key),
          class: String(row.class),
          columns: String(row.columns),
        })),
      };
    });
  } finally {
    sql.destroy();
  }
}

function describeProof(name: string, { unproven, skipped, mismatched, mismatches }: Proof): string[] {
  return [
    `${unproven === 0 ? 'every change that was applied is verified' : `${unproven} changes that were applied are not verified yet`}${skipped > 0 ? `, ${skipped} of them were too many to look at: run "banyan verify ${name}"` : ''}`,
    ...(mismatched > 0
      ? [`${mismatched} keys ARE NOT THE SAME on both sides: banyan verify ${name} --repair`]
      : []),
    ...mismatches.map(
      ({ table, key, class: kind, columns }) => `  ${kind} ${table} ${key}${columns ? `: ${columns}` : ''}`,
    ),
  ];
}

function describeStream({
  capability,
  source,
  mode,
  lagSeconds,
  quarantined,
  tripwires,
  stop,
}: StreamStatus): string {
  const from = `${capability === capability.split('+')[0] ? '' : 'reference tables '}from ${source}`;
  if (stop !== null)
    return `${from}: STOPPED: ${stop} Then: banyan worker --acknowledge ${capability.split('+')[0]}`;
  const notes = [
    mode === 'watch' ? 'watching' : mode === 'apply' ? 'applying' : 'not met its fence row yet',
    lagSeconds === null ? 'no heartbeat has passed yet' : `${lagSeconds} s behind`,
    ...(quarantined > 0 ? [`${quarantined} rows in quarantine`] : []),
    ...(tripwires > 0 ? [`${tripwires} writes on the side that is not owner`] : []),
  ];
  return `${from}: ${notes.join(', ')}`;
}

type Recorded = { readonly recordedAt: string } | null;

function describeEvidence({
  name,
  backfilled,
  verified,
}: {
  name: string;
  backfilled: Recorded;
  verified: Recorded;
}): string {
  const at = (evidence: { readonly recordedAt: string }) => `${evidence.recordedAt.slice(0, 19)}Z`;
  if (!backfilled && !verified) return `none: run "banyan backfill ${name}", then "banyan verify ${name}"`;
  const parts = [
    backfilled ? `backfilled at ${at(backfilled)}` : undefined,
    verified ? `verified at ${at(verified)}` : `not verified: run "banyan verify ${name}"`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

export const statusCommand = command({
  name: 'status',
  words: '',
  summary: 'Where each capability stands: phase, evidence, streams, flag, and what a facade really serves.',
  help: `
"proposed" is what the flag asks for, "effective" what the facade serves after the interlock. A stream that is far
behind for long has no worker, or has stopped: then it says for what, and what to do.`,
  options: { ...commonOptions, ...serverOptions, ...adminOptions },
  async run({ values, output }) {
    const config = await configOf(values);
    const file = values.unleashUrl ? undefined : flagFile(values);
    const flags: readonly Flag[] | undefined = file ? readFlagFile(file).features : undefined;
    const facade = await facadeStatus(values);
    const streams = (
      await Promise.all([streamsFrom('legacy', values), streamsFrom('service', values)])
    ).flat();
    const proofs = await readProofs(values);
    const capabilities = await withControl(values, async (control) => {
      const found = [];
      for (const { name, team } of config.capabilities) {
        const row = await readCapability(control, name);
        const backfilled = await evidenceInForce(control, name, 'backfilled');
        const verified = await evidenceInForce(control, name, 'verified');
        const interlock = readInterlock(row && { phase: row.phase, ready: verified !== undefined });
        const served = onFacade(facade, name);
        const flag = flags?.find((each) => each.name === readFlag(name));
        found.push({
          name,
          team,
          phase: row?.phase ?? null,
          changedAt: row?.changedAt ?? null,
          backfilled: backfilled ? { recordedAt: backfilled.recordedAt, facts: backfilled.facts } : null,
          verified: verified ? { recordedAt: verified.recordedAt, facts: verified.facts } : null,
          proofs: proofs.filter(({ capability }) => capability === name || capability === referencesOf(name)),
          streams: streams.filter(
            ({ capability }) => capability === name || capability === referencesOf(name),
          ),
          proposedPercent: flags ? (rolloutPercent(flag) ?? null) : (served?.proposedPercent ?? null),
          effectivePercent: served?.effectivePercent ?? null,
          interlock: interlock.open ? null : interlock.why,
          readsLastMinute: served?.readsLastMinute ?? null,
        });
      }
      return found;
    });
    for (const each of capabilities) {
      output.say(
        `${each.name} (team ${each.team}): ${each.phase ?? 'not installed: run "banyan install"'}${each.changedAt ? ` since ${each.changedAt.slice(0, 19)}Z` : ''}`,
      );
      output.say(`  evidence     ${describeEvidence(each)}`);
      for (const stream of each.streams) output.say(`  stream       ${describeStream(stream)}`);
      for (const proof of each.proofs)
        for (const line of describeProof(each.name, proof)) output.say(`  proof        ${line}`);
      output.say(
        `  reads        proposed ${percent(each.proposedPercent)}, effective ${percent(each.effectivePercent)}${each.interlock ? ` (held at legacy: ${each.interlock})` : ''}`,
      );
      if (each.readsLastMinute)
        output.say(
          `  last minute  ${each.readsLastMinute.service} reads from the service, ${each.readsLastMinute.legacy} from legacy`,
        );
    }
    output.say(
      facade === undefined
        ? 'facade: none is known; give --admin-url and BANYAN_ADMIN_TOKEN'
        : `facade: ${facade.url} ${facade.reachable ? 'answers' : `does not answer (${facade.error})`}`,
    );
    return {
      result: { capabilities, facade: facade ? { url: facade.url, reachable: facade.reachable } : null },
    };
  },
});
