import { readFlag, type Side, shadowFlag } from '../capability/capability.ts';
import { readChange } from '../capability/change-store.ts';
import { describeCohorts } from '../capability/cohort.ts';
import { evidenceInForce, readCapability, readStandings } from '../capability/control-store.ts';
import { type FenceRow, readFences } from '../capability/fence.ts';
import { type Flag, readFlagFile, rolloutPercent } from '../capability/flag-file.ts';
import { readInterlock } from '../capability/phase.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import { ChangeSessions } from './change-sessions.ts';
import {
  command,
  commonOptions,
  configOf,
  connectAs,
  type ServerValues,
  serverOptions,
  withControl,
} from './command.ts';
import { adminOptions, facadeStatus, flagFile, onFacade, type UpstreamOnFacade } from './facade-admin.ts';
import { type Proof, readProofs, type StreamStatus, streamsFrom } from './stream-status.ts';

const percent = (value: number | null | undefined) =>
  value === null || value === undefined ? '?' : `${value} %`;

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
  goesOnBy,
}: StreamStatus): string {
  const from = `${capability === capability.split('+')[0] ? '' : 'reference tables '}from ${source}`;
  if (stop !== null) return `${from}: STOPPED: ${stop} Then: ${goesOnBy}`;
  if (mode === 'retired') return `${from}: ended by "banyan retire", for good: legacy follows no longer`;
  const notes = [
    mode === 'watch' ? 'watching' : mode === 'apply' ? 'applying' : 'not met its fence row yet',
    lagSeconds === null ? 'no heartbeat has passed yet' : `${lagSeconds} s behind`,
    ...(quarantined > 0 ? [`${quarantined} rows in quarantine`] : []),
    ...(tripwires > 0 ? [`${tripwires} writes on the side that is not owner`] : []),
  ];
  return `${from}: ${notes.join(', ')}`;
}

type Owner = Readonly<
  Record<Side, { readonly owner: Side; readonly epoch: string; readonly turned: boolean }>
>;

/** By the fences' word, on both servers. */
async function readOwners(names: readonly string[], values: ServerValues): Promise<Map<string, Owner>> {
  using sessions = new ChangeSessions((side) =>
    connectAs(side === 'legacy' ? 'legacy' : 'services', 'banyan_cli', values),
  );
  const on = await sessions.both();
  const owners = new Map<string, Owner>();
  for (const name of names) {
    const fences = await readFences(on, name);
    const said = ({ owner, epoch, turn }: FenceRow) => ({
      owner,
      epoch: epoch.toString(),
      turned: turn !== null && !turn.isOver,
    });
    if (fences) owners.set(name, { legacy: said(fences.legacy), service: said(fences.service) });
  }
  return owners;
}

function describeOwner(owner: Owner | null): string {
  if (!owner) return 'not installed on both sides: run "banyan install"';
  const { legacy, service } = owner;
  const turned = legacy.turned || service.turned ? ', about to change hands' : '';
  return legacy.owner === service.owner && legacy.epoch === service.epoch
    ? `${legacy.owner} at epoch ${legacy.epoch}${turned}`
    : `legacy's fence names ${legacy.owner} at epoch ${legacy.epoch}, the service's ${service.owner} at epoch ${service.epoch}: normal for moments, else see docs/change-of-owner.md`;
}

type Change = {
  readonly to: Side;
  readonly outcome: string | null;
  readonly holder: string | null;
  readonly begunAt: string;
};

const describeChange = (name: string, { to, outcome, holder, begunAt }: Change) =>
  holder !== null
    ? `to ${to}, since ${begunAt.slice(0, 19)}Z, by ${holder}`
    : `to ${to}, begun at ${begunAt.slice(0, 19)}Z, ${outcome ?? 'and its command has died'}: run "banyan ${to === 'service' ? 'cutover' : 'rollback'} ${name} --execute" again, which finishes it or finds it undone`;

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

/** What is not as it should be with an upstream: nothing, when all is well. */
function describeUpstream({
  name,
  breaker,
  waiting,
  fault,
  instances,
}: UpstreamOnFacade): string | undefined {
  const named = instances.filter(({ leaving }) => !leaving);
  const out = named.filter(({ up }) => !up);
  const notes = [
    breaker.state === 'open'
      ? `its breaker is OPEN for another ${breaker.openMsLeft} ms (${breaker.why})`
      : breaker.state === 'half-open'
        ? `its breaker is half open (${breaker.why})`
        : undefined,
    ...out.map(
      ({ origin, healthy, ejectedMs }) =>
        `${origin} is left out ${healthy === false ? 'for its health checks' : `for its failures, for another ${ejectedMs} ms`}`,
    ),
    named.length === 0 ? 'no instance is known' : undefined,
    fault === null ? undefined : `its instances cannot be had: ${fault}`,
    waiting > 0 ? `${waiting} requests wait for room` : undefined,
  ].filter((note) => note !== undefined);
  return notes.length === 0 ? undefined : `upstream ${name}: ${notes.join('; ')}`;
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
    const owners = await readOwners(
      config.capabilities.map(({ name }) => name),
      values,
    );
    const capabilities = await withControl(values, async (control) => {
      const found = [];
      const standings = await readStandings(control);
      for (const { name, team } of config.capabilities) {
        const row = await readCapability(control, name);
        const backfilled = await evidenceInForce(control, name, 'backfilled');
        const verified = await evidenceInForce(control, name, 'verified');
        const interlock = readInterlock(standings.get(name));
        const served = onFacade(facade, name);
        const changing = await readChange(control, name);
        const flag = flags?.find((each) => each.name === readFlag(name));
        const shadow = flags?.find((each) => each.name === shadowFlag(name));
        found.push({
          name,
          team,
          phase: row?.phase ?? null,
          changedAt: row?.changedAt ?? null,
          owner: owners.get(name) ?? null,
          change: changing
            ? {
                to: changing.to,
                epoch: (changing.epoch + 1n).toString(),
                outcome: changing.outcome,
                holder: changing.leaseMsLeft > 0 ? changing.holder : null,
                begunAt: changing.begunAt,
              }
            : null,
          backfilled: backfilled ? { recordedAt: backfilled.recordedAt, facts: backfilled.facts } : null,
          verified: verified ? { recordedAt: verified.recordedAt, facts: verified.facts } : null,
          proofs: proofs.filter(({ capability }) => capability === name || capability === referencesOf(name)),
          streams: streams.filter(
            ({ capability }) => capability === name || capability === referencesOf(name),
          ),
          proposedPercent: flags ? (rolloutPercent(flag) ?? null) : (served?.proposedPercent ?? null),
          cohorts: describeCohorts(flag),
          effectivePercent: served?.effectivePercent ?? null,
          shadowPercent:
            served?.shadowPercent ??
            (flags && served === undefined ? (rolloutPercent(shadow) ?? null) : null),
          interlock: interlock.open ? null : interlock.why,
          returned: standings.get(name)?.reads?.returned ?? null,
          readsLastMinute: served?.readsLastMinute ?? null,
        });
      }
      return found;
    });
    for (const each of capabilities) {
      output.say(
        `${each.name} (team ${each.team}): ${each.phase ?? 'not installed: run "banyan install"'}${each.changedAt ? ` since ${each.changedAt.slice(0, 19)}Z` : ''}`,
      );
      output.say(`  owner        ${describeOwner(each.owner)}`);
      if (each.change && each.change.outcome !== 'done' && each.change.outcome !== 'undone')
        output.say(`  change       ${describeChange(each.name, each.change)}`);
      output.say(`  evidence     ${describeEvidence(each)}`);
      for (const stream of each.streams) output.say(`  stream       ${describeStream(stream)}`);
      for (const proof of each.proofs)
        for (const line of describeProof(each.name, proof)) output.say(`  proof        ${line}`);
      output.say(
        `  reads        proposed ${percent(each.proposedPercent)}, effective ${percent(each.effectivePercent)}${each.interlock ? ` (held at legacy: ${each.interlock})` : ''}`,
      );
      for (const cohort of each.cohorts) output.say(`  cohort       ${cohort}`);
      if (each.shadowPercent !== 0)
        output.say(
          `  shadow       ${percent(each.shadowPercent)} of the reads are mirrored: "banyan diff ${each.name}" says how alike both sides answer`,
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
    const upstreams = facade?.reachable ? facade.upstreams : null;
    for (const upstream of upstreams ?? []) {
      const line = describeUpstream(upstream);
      if (line !== undefined) output.say(line);
    }
    return {
      result: {
        capabilities,
        facade: facade ? { url: facade.url, reachable: facade.reachable, upstreams } : null,
      },
    };
  },
});
