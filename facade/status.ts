// What the facade says of itself: readiness, gauges and /api/status.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BanyanConfig } from '../capability/capability.ts';
import { readFlag, shadowFlag } from '../capability/capability.ts';
import { parityShare } from '../capability/parity.ts';
import { readInterlock, shadowInterlock } from '../capability/phase.ts';
import { emptyTally } from '../capability/tally.ts';
import type { AdminDeps } from './admin.ts';
import type { ControlView } from './control-view.ts';
import type { Facade } from './facade.ts';
import type { Flags } from './flags.ts';
import type { Metrics } from './metrics.ts';
import type { Parity } from './parity.ts';
import type { Registry } from './registry.ts';
import type { SideView } from './side-view.ts';
import type { Tallies } from './tallies.ts';
import type { OwnerWrites } from './writes.ts';

function packageVersion(): string {
  const file: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'));
  return typeof file === 'object' && file !== null && 'version' in file ? String(file.version) : 'unknown';
}

const breakerStates = { closed: 0, 'half-open': 1, open: 2 } as const;

export type StatusDeps = {
  readonly config: BanyanConfig;
  readonly flags: Pick<Flags, 'proposedPercent' | 'status'>;
  readonly control: Pick<ControlView, 'standing' | 'status' | 'ageSeconds'>;
  readonly metrics: Metrics;
  readonly parity: Pick<Parity, 'report'>;
  readonly tallies: Tallies;
  /** What counts are told under: another one has counted from 0. */
  readonly name: string;
  readonly facade: Pick<Facade, 'isListening' | 'openWebsockets' | 'upstreams'>;
  /** Undefined without a control store. */
  readonly owners:
    | {
        readonly view: Pick<SideView, 'owner' | 'status'>;
        readonly writes: Pick<OwnerWrites, 'status'>;
        readonly replica: Pick<Registry, 'name' | 'isRegistered'>;
      }
    | undefined;
};

const parityGaugeMinutes = 60;

export function createStatus(
  deps: StatusDeps,
): Pick<AdminDeps, 'refresh' | 'readiness' | 'status' | 'parity' | 'analysis'> {
  const { config, flags, control, metrics, facade, owners, parity } = deps;
  const startedAt = Date.now();
  const version = packageVersion();

  function ofCapability(name: string, team: string) {
    const standing = control.standing(name);
    const interlock = readInterlock(standing);
    const proposedPercent = flags.proposedPercent(readFlag(name));
    const owner = owners?.view.owner(name);
    return {
      name,
      team,
      phase: standing?.phase ?? null,
      ready: standing?.ready ?? false,
      owner: owner?.side ?? null,
      epoch: owner === undefined ? null : owner.epoch.toString(),
      writes: owners?.writes.status(name) ?? null,
      interlock: interlock.open ? { open: true, why: null } : interlock,
      returned: standing?.reads?.returned ?? null,
      proposedPercent,
      effectivePercent: owner?.side === 'service' ? 100 : interlock.open ? proposedPercent : 0,
      readsLastMinute: {
        legacy: metrics.readsLastMinute(name, 'legacy'),
        service: metrics.readsLastMinute(name, 'service'),
      },
      unpinnedReadsLastMinute: {
        legacy: metrics.unpinnedReadsLastMinute(name, 'legacy'),
        service: metrics.unpinnedReadsLastMinute(name, 'service'),
      },
      fallbacksLastMinute: metrics.fallbacksLastMinute(name),
      shadowPercent: shadowInterlock(standing).open ? flags.proposedPercent(shadowFlag(name)) : 0,
    };
  }
  const parityOf = (name: string, minutes: number) =>
    parity.report(name, owners?.view.owner(name)?.epoch ?? 0n, minutes);
  function refreshParity(): void {
    metrics.gauges.parity.reset();
    for (const { name } of config.capabilities) {
      const { routes } = parityOf(name, parityGaugeMinutes);
      const compared = routes.reduce((sum, route) => sum + route.compared, 0);
      const different = routes.reduce((sum, route) => sum + route.different, 0);
      if (compared > 0) metrics.gauges.parity.set({ capability: name }, parityShare({ compared, different }));
    }
  }
  function refreshOwners(): void {
    if (!owners) return;
    const { gauges } = metrics;
    gauges.owner.reset();
    gauges.writesState.reset();
    for (const { name } of config.capabilities) {
      const owner = owners.view.owner(name);
      if (owner) {
        for (const side of ['legacy', 'service'] as const)
          gauges.owner.set({ capability: name, side }, owner.side === side ? 1 : 0);
        gauges.epoch.set({ capability: name }, Number(owner.epoch));
      }
      const writes = owners.writes.status(name);
      if (!writes) continue;
      gauges.writesState.set({ capability: name, state: writes.state }, 1);
      gauges.writesInFlight.set({ capability: name }, writes.inFlight);
      gauges.writesHeld.set({ capability: name }, writes.held);
    }
    for (const [side, { reachable }] of Object.entries(owners.view.status()))
      gauges.sideReachable.set({ side }, reachable ? 1 : 0);
    gauges.registered.set(owners.replica.isRegistered() ? 1 : 0);
  }
  function refreshUpstreams(): void {
    const { gauges } = metrics;
    gauges.instanceUp.reset();
    gauges.instanceInFlight.reset();
    for (const { name, breaker, waiting, fault, instances } of facade.upstreams()) {
      gauges.breakerState.set({ upstream: name }, breakerStates[breaker.state]);
      gauges.upstreamWaiting.set({ upstream: name }, waiting);
      gauges.instancesValid.set({ upstream: name }, fault === null ? 1 : 0);
      for (const { instance, up, inFlight } of instances) {
        gauges.instanceUp.set({ upstream: name, instance }, up ? 1 : 0);
        gauges.instanceInFlight.set({ upstream: name, instance }, inFlight);
      }
    }
  }
  const capabilities = () => config.capabilities.map(({ name, team }) => ofCapability(name, team));

  return {
    refresh() {
      const { gauges } = metrics;
      gauges.proposedPercent.reset();
      gauges.effectivePercent.reset();
      gauges.shadowPercent.reset();
      gauges.phase.reset();
      for (const each of capabilities()) {
        const { name, phase, proposedPercent, effectivePercent, interlock, shadowPercent, returned } = each;
        gauges.readsReturned.set({ capability: name }, returned === null ? 0 : 1);
        if (phase !== null) gauges.phase.set({ capability: name, phase }, 1);
        if (shadowPercent !== null) gauges.shadowPercent.set({ capability: name }, shadowPercent);
        if (proposedPercent !== null) gauges.proposedPercent.set({ capability: name }, proposedPercent);
        if (effectivePercent !== null) gauges.effectivePercent.set({ capability: name }, effectivePercent);
        gauges.interlockOpen.set({ capability: name }, interlock.open ? 1 : 0);
      }
      refreshOwners();
      refreshParity();
      refreshUpstreams();
      const { fault, source, loadedAt, warnings } = flags.status();
      gauges.flagsValid.set(fault === null ? 1 : 0);
      gauges.flagsWarnings.set(warnings.length);
      if (source === 'unleash' && loadedAt !== null)
        gauges.flagsAge.set((Date.now() - Date.parse(loadedAt)) / 1_000);
      gauges.controlConnected.set(control.status().connected ? 1 : 0);
      const age = control.ageSeconds();
      if (age !== undefined) gauges.controlAge.set(age);
      gauges.websockets.set(facade.openWebsockets());
    },
    readiness() {
      const { connected, error } = control.status();
      return {
        ready: facade.isListening(),
        checks: {
          listener: facade.isListening() ? 'ok' : 'not accepting requests',
          flags: flags.status().fault ?? 'ok',
          // Not a reason to take the facade out: without it, legacy answers, or what was said last.
          controlStore: connected ? 'ok' : (error ?? 'not connected'),
        },
      };
    },
    analysis: () => ({
      replica: deps.name,
      capabilities: config.capabilities.map(({ name }) => ({
        capability: name,
        ...(deps.tallies.of(name)?.read() ?? emptyTally),
      })),
    }),
    parity: (minutes) => ({
      minutes,
      capabilities: config.capabilities.map(({ name }) => parityOf(name, minutes)),
    }),
    status: () => ({
      version,
      uptimeSeconds: Math.floor((Date.now() - startedAt) / 1000),
      capabilities: capabilities(),
      controlStore: control.status(),
      sides: owners?.view.status() ?? null,
      replica:
        owners === undefined
          ? null
          : { name: owners.replica.name, registered: owners.replica.isRegistered() },
      flags: flags.status(),
      upstreams: facade.upstreams(),
      websocketsOpen: facade.openWebsockets(),
    }),
  };
}
