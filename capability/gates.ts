// The gates of a move: facts → verdicts. Pure: what is looked up, and how, is not its affair. No gate is skipped without a
// word and a reason, and a gate without facts fails.
import type { Side } from './capability.ts';
import type { Facts, Gate, GateLimits, Verdict } from './gate.ts';
import type { Phase } from './phase.ts';

const minutes = (ms: number) => Math.floor(ms / 60_000);
const counted = (names: readonly string[]) =>
  names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');
const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

const phaseIs = (wanted: Phase, remedy: (capability: string, phase: Phase) => string): Gate => ({
  name: 'phase',
  mayBeOverridden: false,
  judge: ({ phase, phaseAgeMs }, _limits, _to, capability) => ({
    passes: phase === wanted,
    evidence: `the phase is ${phase}`,
    remedy: remedy(capability, phase),
    ageMs: phaseAgeMs,
  }),
});

const notRetired: Gate = {
  name: 'phase',
  mayBeOverridden: false,
  judge: ({ phase, phaseAgeMs }) => ({
    passes: phase !== 'retired',
    evidence: `the phase is ${phase}`,
    remedy: "none: the monolith's tables no longer follow",
    ageMs: phaseAgeMs,
  }),
};

const fencesAgree: Gate = {
  name: 'fences',
  mayBeOverridden: false,
  judge({ fences: { legacy, service } }, _limits, to) {
    const from = other(to);
    return {
      passes: legacy.owner === from && service.owner === from && legacy.epoch === service.epoch,
      evidence: `legacy's names ${legacy.owner} at epoch ${legacy.epoch}, the service's ${service.owner} at epoch ${service.epoch}`,
      remedy: 'docs/change-of-owner.md, "When the fences disagree"',
    };
  },
};

const enforced: Gate = {
  name: 'enforced',
  mayBeOverridden: false,
  judge({ fenceModes }, _limits, _to, capability) {
    const open = fenceModes.filter(({ mode }) => mode !== 'enforce');
    return {
      passes: fenceModes.length > 0 && open.length === 0,
      evidence:
        open.length === 0
          ? `${fenceModes.length} tables refuse writes on the side that is not owner`
          : `not enforced: ${counted(open.map(({ side, table, mode }) => `${side}'s ${table} (${mode})`))}`,
      remedy: `banyan fence ${capability} --enforce --execute`,
    };
  },
};

const backfilled: Gate = {
  name: 'backfilled',
  mayBeOverridden: true,
  judge: ({ backfilledAgeMs }, _limits, _to, capability) => ({
    passes: backfilledAgeMs !== undefined,
    evidence: backfilledAgeMs === undefined ? 'no backfill is recorded' : 'every table was backfilled',
    remedy: `banyan backfill ${capability}`,
    ...(backfilledAgeMs === undefined ? {} : { ageMs: backfilledAgeMs }),
  }),
};

const verified: Gate = {
  name: 'verified',
  mayBeOverridden: true,
  judge: ({ verifiedAgeMs }, { verifiedHoursMax }, _to, capability) => ({
    passes: verifiedAgeMs !== undefined && verifiedAgeMs <= verifiedHoursMax * 3_600_000,
    evidence:
      verifiedAgeMs === undefined
        ? 'no verification is in force'
        : `every row was the same on both sides, there and back (at most ${verifiedHoursMax} h ago)`,
    remedy: `banyan verify ${capability}`,
    ...(verifiedAgeMs === undefined ? {} : { ageMs: verifiedAgeMs }),
  }),
};

const proven: Gate = {
  name: 'proven',
  mayBeOverridden: true,
  judge: ({ unproven, skipped, mismatched }, { unprovenMax }, _to, capability) => ({
    passes: mismatched === 0 && skipped === 0 && unproven <= unprovenMax,
    evidence:
      `${mismatched} keys differ, ${unproven} changes are not looked at yet (at most ${unprovenMax})` +
      (skipped > 0 ? `, and ${skipped} of the owner's only a verification proves` : ''),
    remedy: mismatched > 0 ? `banyan verify ${capability} --repair --execute` : `banyan verify ${capability}`,
  }),
};

const quarantine: Gate = {
  name: 'quarantine',
  mayBeOverridden: true,
  judge: ({ quarantined }) => ({
    passes: quarantined === 0,
    evidence: `${quarantined} rows in quarantine`,
    remedy: 'banyan quarantine list; mend each, then banyan quarantine retry',
  }),
};

const streams: Gate = {
  name: 'streams',
  mayBeOverridden: false,
  judge({ isWorkerRunning, streams: all }, { lagMsMax }) {
    const stopped = all.find(({ stop }) => stop !== null);
    const late = all.find(({ lagMs }) => lagMs === null || lagMs > lagMsMax);
    const worst = Math.max(0, ...all.map(({ lagMs }) => lagMs ?? 0));
    if (!isWorkerRunning)
      return { passes: false, evidence: 'no worker is running', remedy: 'start one: banyan worker' };
    if (stopped)
      return {
        passes: false,
        evidence: `${stopped.stream} from ${stopped.source} has stopped: ${stopped.stop?.why}`,
        remedy: `mend it, then ${stopped.stop?.goesOnBy}`,
      };
    return {
      passes: all.length > 0 && late === undefined,
      evidence: late
        ? `${late.stream} from ${late.source} is ${late.lagMs === null ? 'not moving' : `${late.lagMs} ms behind`} (at most ${lagMsMax})`
        : `${all.length} run, at most ${worst} ms behind`,
      remedy: 'see banyan status; wait until the stream has caught up',
    };
  },
};

const reads: Gate = {
  name: 'reads',
  mayBeOverridden: true,
  judge({ reads: served, phaseAgeMs }, { readsMinutesMin, readsShareMin }, _to, capability) {
    const remedy = `banyan shift ${capability} --reads 100, then wait`;
    if (served === null)
      return {
        passes: false,
        evidence: 'no facade could be asked',
        remedy: 'start a facade, or see banyan status',
      };
    const all = served.service + served.legacy;
    // The last minute says nothing of a phase that is younger.
    const share = all === 0 || phaseAgeMs < 60_000 ? 1 : served.service / all;
    return {
      passes: served.percent === 100 && phaseAgeMs >= readsMinutesMin * 60_000 && share >= readsShareMin,
      evidence: `at ${served.percent} % for ${minutes(phaseAgeMs)} min (at least ${readsMinutesMin}), the service answered ${served.service} of ${all} unpinned ones in the last minute`,
      remedy,
      ageMs: phaseAgeMs,
    };
  },
};

const percent = (share: number) => `${Math.floor(share * 100_000) / 1_000} %`;

const parity: Gate = {
  name: 'parity',
  mayBeOverridden: true,
  judge({ parity: seen }, { parityMin, parityComparedMin, parityMinutes }, _to, capability) {
    const diff = `banyan diff ${capability}`;
    if (seen === null)
      return {
        passes: false,
        evidence: 'no facade could be asked',
        remedy: 'start a facade, or see banyan status',
      };
    if (seen.mirrored === 0) return { passes: true, evidence: 'no read of it can be mirrored', remedy: diff };
    const compared = seen.routes.reduce((sum, route) => sum + route.compared, 0);
    const shareOf = (route: (typeof seen.routes)[number]) => 1 - route.different / route.compared;
    const worst = seen.routes
      .filter((route) => route.compared > 0)
      .reduce<(typeof seen.routes)[number] | undefined>(
        (known, route) => (known && shareOf(known) <= shareOf(route) ? known : route),
        undefined,
      );
    const isEnough = compared >= parityComparedMin;
    return {
      passes: isEnough && (worst === undefined || shareOf(worst) >= parityMin),
      evidence:
        `${compared} reads were mirrored in the last ${parityMinutes} min (at least ${parityComparedMin})` +
        (worst === undefined
          ? ''
          : `, answered alike ${percent(shareOf(worst))} at least (${percent(parityMin)}; ${worst.route})`),
      remedy: isEnough ? diff : `banyan shift ${capability} --shadow 100, then wait; ${diff}`,
      ...(seen.ageMs === null ? {} : { ageMs: seen.ageMs }),
    };
  },
};

const replicas: Gate = {
  name: 'facades',
  mayBeOverridden: false,
  judge({ replicas: all }) {
    const there = all.filter(({ heartbeat }) => heartbeat !== 'over');
    const silent = there.filter(({ heartbeat }) => heartbeat === 'silent');
    return {
      passes: there.length > 0 && silent.length === 0,
      evidence:
        there.length === 0
          ? 'no facade is registered'
          : silent.length > 0
            ? `silent: ${counted(silent.map(({ name }) => name))}`
            : `${there.length} answer`,
      remedy:
        'start it again, or wait until it counts as stopped (10 s); their admin listeners must be reachable from here',
    };
  },
};

const writers: Gate = {
  name: 'writers',
  mayBeOverridden: true,
  judge({ writers: sides }, { observedMinutesMin }, to, capability) {
    const undeclared = sides.flatMap(({ undeclared: names }) => names);
    // Only whoever owns has been written to: on the other side there was nothing to see.
    const observed = sides.find(({ side }) => side === other(to))?.observedMs;
    return {
      passes: undeclared.length === 0 && observed !== undefined && observed >= observedMinutesMin * 60_000,
      evidence:
        undeclared.length > 0
          ? `nobody declared ${counted(undeclared)}`
          : observed === undefined
            ? 'nobody has observed who writes'
            : `every writer of ${minutes(observed)} min is declared (at least ${observedMinutesMin})`,
      remedy:
        undeclared.length > 0
          ? `banyan writers ${capability} shows them; docs/fence.md says what to do about each`
          : `banyan fence ${capability} --observe --execute, then wait`,
      ...(observed === undefined ? {} : { ageMs: observed }),
    };
  },
};

const tripwires: Gate = {
  name: 'tripwires',
  mayBeOverridden: true,
  judge({ tripwires: all, verifiedAgeMs }, _limits, _to, capability) {
    // What was seen before a clean verification has done no harm, or has been mended.
    const open = all.filter(({ ageMs }) => verifiedAgeMs === undefined || ageMs <= verifiedAgeMs);
    return {
      passes: open.length === 0,
      evidence:
        open.length === 0
          ? 'no write on the side that is not owner since the last verification'
          : `since the last verification: ${counted(open.map(({ source, what }) => `${what} on ${source}`))}`,
      remedy: `find who did it (docs/fence.md), then banyan verify ${capability}`,
    };
  },
};

const translated: Gate = {
  name: 'routes',
  mayBeOverridden: false,
  judge: ({ untranslated }) => ({
    passes: untranslated.length === 0,
    evidence:
      untranslated.length === 0
        ? 'every write route has a translator'
        : `no translator for ${counted(untranslated)}`,
    remedy: 'write its translator (docs/adopting.md), and start the facades again',
  }),
};

const remedied: Gate = {
  name: 'also-writes',
  mayBeOverridden: true,
  judge: ({ unremedied }) => ({
    passes: unremedied.length === 0,
    evidence:
      unremedied.length === 0
        ? 'every route that also writes these tables names its remedy'
        : `no remedy for ${counted(unremedied)}`,
    remedy: 'say in the configuration what becomes of those writes: remedy (docs/adopting.md)',
  }),
};

const disentangled: Gate = {
  name: 'entangled',
  mayBeOverridden: true,
  judge: ({ entangled }) => ({
    passes: entangled.length === 0,
    evidence:
      entangled.length === 0
        ? 'no route of legacy touches its tables'
        : `legacy still touches its tables in ${counted(entangled)}`,
    remedy: 'have those routes ask the service, then take alsoReads and alsoWrites out of the configuration',
  }),
};

const doctor: Gate = {
  name: 'doctor',
  mayBeOverridden: true,
  judge: ({ refusals }) => ({
    passes: refusals.length === 0,
    evidence:
      refusals.length === 0
        ? 'settings are durable, rights are there, and both directions were written to and rolled back'
        : counted(refusals.map(({ code, object }) => `${code} (${object})`)),
    remedy: 'banyan doctor says what to do about each',
  }),
};

const counters: Gate = {
  name: 'counters',
  mayBeOverridden: false,
  judge: ({ shortCounters }) => ({
    passes: shortCounters.length === 0,
    evidence: shortCounters.length === 0 ? 'numbers have headroom' : counted(shortCounters),
    remedy: 'widen the column, or lower what has run away (docs/doctor.md, counter-headroom)',
  }),
};

const gatesOf = {
  cutover: [
    phaseIs('reads', (capability) => `banyan plan ${capability} says what comes before`),
    fencesAgree,
    backfilled,
    verified,
    proven,
    quarantine,
    streams,
    reads,
    parity,
    enforced,
    writers,
    tripwires,
    translated,
    remedied,
    doctor,
    counters,
    replicas,
  ],
  rollback: [
    notRetired,
    fencesAgree,
    proven,
    quarantine,
    streams,
    parity,
    enforced,
    tripwires,
    counters,
    replicas,
  ],
  retire: [
    phaseIs('owned', (capability) => `banyan cutover ${capability}`),
    verified,
    proven,
    quarantine,
    streams,
    tripwires,
    disentangled,
  ],
} as const satisfies Record<string, readonly Gate[]>;

export type Gated = keyof typeof gatesOf;

/** The names of a move's gates, for options and documents. */
export const gateNames = (move: Gated): string[] => gatesOf[move].map(({ name }) => name);

const target: Readonly<Record<Gated, Side>> = { cutover: 'service', rollback: 'legacy', retire: 'service' };

/** Every gate of a move, in order. @param overridden gates that somebody answers for; each must be one that may be */
export function judgeGates(
  move: Gated,
  capability: string,
  facts: Facts,
  limits: GateLimits,
  overridden: readonly string[],
): Verdict[] {
  return gatesOf[move].map(({ name, mayBeOverridden, judge }) => {
    const { passes, evidence, remedy, ageMs } = judge(facts, limits, target[move], capability);
    const isOverridden = mayBeOverridden && overridden.includes(name);
    return {
      gate: name,
      verdict: passes ? 'pass' : isOverridden ? 'overridden' : 'fail',
      evidence,
      ageMs: ageMs ?? null,
      remedy,
      mayBeOverridden,
    };
  });
}
