// What is done with one read that was chosen for the shadow: the other side is asked, both answers are compared, and what differs is
// looked at again before it counts.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Capability, type ReadRoute, type Side, shadowFlag } from '../capability/capability.ts';
import { atMostEach } from './answers.ts';
import type { Capture } from './capture.ts';
import {
  type Compared,
  type ComparedAnswer,
  type CompareRules,
  compareAnswers,
  movedBetween,
  rulesOf,
} from './compare.ts';
import type { Difference } from './compare-json.ts';
import type { ShadowOutcome } from './metrics.ts';
import type { Mirror, Mirrored, Unusable } from './mirror.ts';
import type { Parity, Subject } from './parity.ts';
import { queryShape } from './redact.ts';
import type { Tallies } from './tallies.ts';

/** Of a route the first ones and then one of so many are asked of legacy twice, for the noise. */
const repeatedFirst = 20;
const repeatedEach = 10;
/** When both are asked again, after what differs: in multiples of `againMs`. */
const againAfter = [1, 4, 12] as const;
/** What differs still when it is looked at for so many a time counts for the analysis, which cannot wait: a stream is rarely behind by more. */
const countedAtLook = 2;

/** A route that may be mirrored. */
export class ShadowedRoute {
  readonly capability: Capability;
  readonly route: ReadRoute;
  readonly name: string;
  readonly flag: string;
  readonly rules: CompareRules;
  /** Parameters of the query whose values may be shown. */
  readonly shown: ReadonlySet<string>;
  compared = 0;
  isOpen = false;
  lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(capability: Capability, route: ReadRoute, ordered: boolean) {
    this.capability = capability;
    this.route = route;
    this.name = `${route.method} ${route.path}`;
    this.flag = shadowFlag(capability.name);
    this.rules = rulesOf(route.shadow, ordered);
    const parameters = (route.shadow?.show ?? []).filter((each) => each.startsWith('?'));
    this.shown = new Set(parameters.map((each) => each.slice(1)));
  }
}

/** One request on its way through the comparison. */
export type Job = {
  readonly of: ShadowedRoute;
  readonly request: Mirrored;
  readonly subject: Subject;
  readonly ifNoneMatch: string | undefined;
  /** Of the writes: the other side follows it. */
  readonly owner: Side;
};

type Look = { readonly legacy: ComparedAnswer; readonly service: ComparedAnswer | Unusable };

function compareLook({ legacy, service }: Look, rules: CompareRules): Compared {
  if (!('fault' in service)) return compareAnswers(legacy, service, rules);
  const fault = {
    path: '(answer)',
    kind: 'fault',
    legacy: String(legacy.status),
    service: service.fault,
  } as const;
  return { differences: [fault], isWhole: true };
}

/** Where a side says something else than at the look before. */
function movedSince(
  before: ComparedAnswer | Unusable,
  now: ComparedAnswer | Unusable,
  rules: CompareRules,
): (path: string) => boolean {
  return 'fault' in before || 'fault' in now ? () => false : movedBetween(before, now, rules);
}

export type ComparingDeps = {
  readonly mirror: Pick<Mirror, 'legacy' | 'service'>;
  readonly parity: Parity;
  readonly tallies: Tallies;
  readonly log: Logger;
  /** From a difference until both are asked again for the first time, in milliseconds. */
  readonly againMs: number;
  /** Whether the flag still wants it. */
  readonly isOpen: (of: ShadowedRoute) => boolean;
  readonly stopped: AbortSignal;
};

export class Comparing {
  readonly #deps: ComparingDeps;
  readonly #isTimeToLog = atMostEach(10_000);

  constructor(deps: ComparingDeps) {
    this.#deps = deps;
  }

  /** @throws when a side does not answer, or everything is stopping */
  async compare(capture: Capture, job: Job): Promise<ShadowOutcome> {
    const { parity, log } = this.#deps;
    const { of, subject, request } = job;
    const given = await capture.read();
    if (typeof given === 'string') {
      // Whom a client leaves says nothing about the answers.
      if (given !== 'abandoned') parity.notCompared(subject);
      return given;
    }
    const first = await this.#lookAtOther(capture.side, given, job);
    const compared = compareLook(first, of.rules);
    if (compared.isWhole || compared.differences.length > 0) this.#deps.tallies.compared(subject.capability);
    await this.#repeat(first.legacy, job);
    // Of a 304 nobody knows the places.
    const known = first.legacy.text === undefined ? undefined : compared.differences;
    const differences =
      compared.differences.length === 0 ? compared.differences : await this.#lookAgain(first, known, job);
    if (differences === 'stopped') return 'stopped';
    if (differences === 'moving' || (differences.length === 0 && !compared.isWhole)) {
      parity.notCompared(subject);
      return differences === 'moving' ? 'moving' : 'too_large';
    }
    parity.compared(subject, differences, queryShape(new URLSearchParams(request.query), of.shown));
    if (differences.length === 0) return compared.differences.length === 0 ? 'equal' : 'settled';
    if (this.#isTimeToLog(`different ${of.name}`))
      log.warn(
        {
          capability: subject.capability,
          route: of.name,
          paths: differences.map(({ kind, path }) => `${kind} ${path}`),
        },
        'both sides answer a read differently: see banyan diff',
      );
    return 'different';
  }

  async #lookAtOther(side: Side, given: ComparedAnswer, { of, request, ifNoneMatch }: Job): Promise<Look> {
    if (side === 'service') {
      const legacy = await this.#deps.mirror.legacy(request);
      return { legacy, service: given };
    }
    const { upstream } = of.capability.service;
    const validator = given.status === 304 ? ifNoneMatch : undefined;
    return {
      legacy: given,
      service: await this.#deps.mirror.service(request, of.route, upstream, validator),
    };
  }

  async #lookAtBoth({ of, request }: Job): Promise<Look> {
    const [legacy, service] = await Promise.all([
      this.#deps.mirror.legacy(request),
      this.#deps.mirror.service(request, of.route, of.capability.service.upstream),
    ]);
    return { legacy, service };
  }

  /** What legacy does not say twice the same by itself is noise. */
  async #repeat(legacy: ComparedAnswer, { of, request, subject }: Job): Promise<void> {
    of.compared += 1;
    if (of.compared > repeatedFirst && of.compared % repeatedEach !== 0) return;
    if (legacy.text === undefined) return;
    const again = await this.#deps.mirror.legacy(request);
    this.#deps.parity.repeated(subject, compareAnswers(legacy, again, of.rules).differences);
  }

  /**
   * One side may have been behind the other: what counts is what differs still, where the owner says what it said at the look before.
   * @param known what differed first; undefined: somewhere
   * @returns `moving` when nothing counts, and something was said anew each time
   */
  async #lookAgain(
    first: Look,
    known: readonly Difference[] | undefined,
    job: Job,
  ): Promise<readonly Difference[] | 'stopped' | 'moving'> {
    const { parity, tallies } = this.#deps;
    const isNoise = (place: Difference) => parity.isNoise(job.subject, [place]);
    let before = first;
    let still = known;
    let counting: readonly Difference[] = [];
    for (const [look, times] of againAfter.entries()) {
      await delay(times * this.#deps.againMs, undefined, { signal: this.#deps.stopped });
      if (!this.#deps.isOpen(job.of)) return 'stopped';
      const now = await this.#lookAtBoth(job);
      const { differences } = compareLook(now, job.of.rules);
      if (differences.length === 0) return [];
      const paths = still?.map(({ path }) => path);
      const same = paths ? differences.filter(({ path }) => paths.includes(path)) : differences;
      // Each time somewhere else, and never the same: that is no stream that is behind.
      still = same.length > 0 ? same : differences;
      const hasMoved = movedSince(before[job.owner], now[job.owner], job.of.rules);
      before = now;
      counting = still.filter((place) => isNoise(place) || !hasMoved(place.path));
      if (counting.length < still.length && counting.every(isNoise)) counting = [];
      if (look + 1 === countedAtLook && !counting.every(isNoise)) tallies.differed(job.subject.capability);
    }
    return counting.length > 0 ? counting : 'moving';
  }
}
