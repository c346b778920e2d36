// The service beside legacy, over the same window: errors, latency, and whether both say the same. All pure.
import { shareAtLeast } from './share.ts';
import { latencyBoundsMs, quantileMs, type SideTally, type Tally } from './tally.ts';

/** What a capability may declare otherwise, each with its default. */
export type AnalysisLimits = {
  /** Reads of each side in a window; fewer are no data. */
  readonly samplesMin: number;
  /** Of a hundred reads so many more than legacy's may fail. */
  readonly errorPointsMax: number;
  /** The 95th percentile: so many times legacy's, and so much more. */
  readonly latencyTimesMax: number;
  readonly latencyMsMore: number;
  /** The 95th percentile where legacy was asked too little to compare with. */
  readonly latencyMsAlone: number;
  /** What is beyond the limit by so much sends the reads back in the middle of a step. */
  readonly guardMsMore: number;
  /** Mirrored reads in a window that were compared; fewer are no data. */
  readonly comparedMin: number;
};

export const usualAnalysis: AnalysisLimits = {
  samplesMin: 30,
  errorPointsMax: 1,
  latencyTimesMax: 2,
  latencyMsMore: 50,
  latencyMsAlone: 1_000,
  // One pause for breath of a busy machine is no failing service.
  guardMsMore: 400,
  comparedMin: 20,
};

/** How many certainly took longer. */
const slowerThan = (times: readonly number[], ms: number): number =>
  times.reduce((sum, count, at) => sum + ((latencyBoundsMs[at - 1] ?? 0) >= ms ? count : 0), 0);

/** Every fault of what a capability declares. */
export function analysisFaults(analysis: unknown): string[] {
  if (analysis === undefined) return [];
  if (typeof analysis !== 'object' || analysis === null) return ['analysis is an object of limits'];
  return Object.entries(analysis)
    .filter(
      ([name, limit]) =>
        !Object.hasOwn(usualAnalysis, name) || !(Number.isFinite(limit) && Number(limit) >= 0),
    )
    .map(([name]) => `analysis.${name} is none of ${Object.keys(usualAnalysis).join(', ')}, or no number`);
}

const rate = ({ reads, errors }: SideTally) => (reads === 0 ? 0 : errors / reads);
const p95 = ({ times }: SideTally) => quantileMs(times, 0.95);

const sideFigures = (side: SideTally) => ({
  reads: side.reads,
  errors: side.errors,
  p95Ms: Math.round(p95(side) ?? 0),
});

/** For the audit, and for people. */
export const figuresOf = ({ legacy, service, compared, differing }: Tally) => ({
  legacy: sideFigures(legacy),
  service: sideFigures(service),
  compared,
  differing,
});

const percent = (share: number) => `${Math.round(share * 10_000) / 100} %`;
const ms = (value: number | undefined) => (value === undefined ? '?' : `${Math.round(value)} ms`);

export type CheckName = 'samples' | 'errors' | 'latency' | 'parity';

export type Check = {
  readonly check: CheckName;
  readonly passes: boolean;
  /** It fails for want of figures, not for what they say. */
  readonly isWithoutData: boolean;
  readonly evidence: string;
};

export type StepInput = {
  readonly tally: Tally;
  readonly limits: AnalysisLimits;
  /** Of the mirrored reads, the share that must be answered alike. */
  readonly parityMin: number;
  /** Whether any read of the capability can be mirrored at all. */
  readonly isMirrorable: boolean;
  /** At 100 %: nobody asks legacy first any more. */
  readonly isWhole: boolean;
  /** Legacy's figures of an earlier step, with which such a step is compared. */
  readonly before: SideTally | undefined;
};

/** Legacy as it is compared with; undefined: only the limits themselves count. */
const baselineOf = ({ tally: { legacy }, limits, isWhole, before }: StepInput): SideTally | undefined =>
  legacy.reads >= limits.samplesMin ? legacy : isWhole ? before : undefined;

function samples({ tally: { legacy, service }, limits: { samplesMin }, isWhole }: StepInput): Check {
  const passes = service.reads >= samplesMin && (isWhole || legacy.reads >= samplesMin);
  return {
    check: 'samples',
    passes,
    isWithoutData: !passes,
    evidence: `the service was asked ${service.reads} times, legacy ${legacy.reads} times (at least ${samplesMin}${isWhole ? ', the service' : ' each'})`,
  };
}

function errors(input: StepInput): Check {
  const { service } = input.tally;
  const legacy = baselineOf(input);
  const limit = (legacy ? rate(legacy) : 0) + input.limits.errorPointsMax / 100;
  return {
    check: 'errors',
    passes: service.reads > 0 && rate(service) <= limit,
    isWithoutData: service.reads === 0,
    evidence: `${percent(rate(service))} of the service's reads failed, ${legacy ? `${percent(rate(legacy))} of legacy's` : "legacy's are not known"} (at most ${percent(limit)})`,
  };
}

function latency(input: StepInput): Check {
  const { service } = input.tally;
  const { latencyTimesMax, latencyMsMore, latencyMsAlone } = input.limits;
  const own = p95(service);
  const legacy = baselineOf(input);
  const theirs = legacy && p95(legacy);
  const limit = theirs === undefined ? latencyMsAlone : latencyTimesMax * theirs + latencyMsMore;
  return {
    check: 'latency',
    passes: own !== undefined && own <= limit,
    isWithoutData: own === undefined,
    evidence: `95 % of the service's reads were answered within ${ms(own)}, of legacy's within ${ms(theirs)} (at most ${ms(limit)})`,
  };
}

function parity({ tally, limits: { comparedMin }, parityMin, isMirrorable }: StepInput): Check {
  const { compared, differing } = tally;
  if (!isMirrorable)
    return { check: 'parity', passes: true, isWithoutData: false, evidence: 'no read of it can be mirrored' };
  const share = compared === 0 ? 1 : 1 - differing / compared;
  const isEnough = compared >= comparedMin;
  return {
    check: 'parity',
    passes: isEnough && share >= parityMin,
    isWithoutData: !isEnough && share >= parityMin,
    evidence: `${differing} of ${compared} mirrored reads were answered differently (at least ${comparedMin} compared, ${percent(parityMin)} alike)`,
  };
}

/** Whether the service did as well as legacy. No data is a failed check. */
export const judgeStep = (input: StepInput): Check[] => [
  samples(input),
  errors(input),
  latency(input),
  parity(input),
];

/** One or two bad reads are bad luck. */
const badMin = 3;

export type Failing = { readonly check: Exclude<CheckName, 'samples'>; readonly why: string };

export type NowInput = {
  /** The last moments. */
  readonly recent: Tally;
  /** The last seconds: legacy is never judged better by the moments than by these. */
  readonly lately: Tally;
  readonly limits: AnalysisLimits;
  readonly parityMin: number;
};

/** Of fewer legacy reads no percentile is taken. */
const legacyMin = 10;

function failingErrors({ recent: { service, legacy }, lately, limits }: NowInput): Failing | undefined {
  const allowed = Math.max(rate(legacy), rate(lately.legacy)) + limits.errorPointsMax / 100;
  if (service.errors < badMin || shareAtLeast(service.errors, service.reads) <= allowed) return undefined;
  return {
    check: 'errors',
    why: `${service.errors} of the service's last ${service.reads} reads failed (legacy: ${percent(allowed - limits.errorPointsMax / 100)})`,
  };
}

function failingLatency({ recent: { service, legacy }, lately, limits }: NowInput): Failing | undefined {
  const isKnown = lately.legacy.reads >= legacyMin;
  const theirs = Math.max(p95(legacy) ?? 0, p95(lately.legacy) ?? 0);
  const limit =
    (isKnown ? limits.latencyTimesMax * theirs + limits.latencyMsMore : limits.latencyMsAlone) +
    limits.guardMsMore;
  const slow = slowerThan(service.times, limit);
  if (slow < badMin || shareAtLeast(slow, service.reads) <= 0.05) return undefined;
  return {
    check: 'latency',
    why: `${slow} of the service's last ${service.reads} reads took longer than ${ms(limit)} (95 % of legacy's: ${isKnown ? ms(theirs) : 'not known'})`,
  };
}

function failingParity({ recent: { compared, differing }, parityMin }: NowInput): Failing | undefined {
  if (differing < badMin || shareAtLeast(differing, compared) <= 1 - parityMin) return undefined;
  return {
    check: 'parity',
    why: `${differing} of the last ${compared} mirrored reads were answered differently by both sides`,
  };
}

/** Whether the service certainly fails, by few reads: not a word on whether it does well. */
export const judgeNow = (input: NowInput): Failing | undefined =>
  failingErrors(input) ?? failingLatency(input) ?? failingParity(input);
