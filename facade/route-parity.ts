// What comparisons of one route have shown, minute by minute: how many, how many differed and where, and how much of that is noise.
//
// Noise is what legacy does not say twice the same by itself. A sample of the requests is repeated on legacy; at each path the share of
// repeats that differ is its noise. A path at which no repeat has differed has none: each difference counts. At one with noise a
// difference counts only as far as its share is above the upper bound of the noise (Wilson, 95 %): what could be noise is not held
// against the service, and at least the rest is.
import type { PathParity, RouteParity } from '../capability/parity.ts';
import { parityMinutesMax, pathsMax } from '../capability/parity.ts';
import { shareAtMost } from '../capability/share.ts';
import type { Difference } from './compare-json.ts';

/** Of a route at all; the rest of them is one. */
const knownPathsMax = 100;
/** Of one minute: which paths differ together. The rest counts as differing somewhere else. */
const combinationsMax = 16;
const combinedMax = 10;
const otherPath = 'other (more paths than are kept)';

class Minute {
  compared = 0;
  equal = 0;
  notCompared = 0;
  repeated = 0;
  noisy = 0;
  /** Ids of the paths that differed in one comparison, and how often. */
  readonly combinations = new Map<string, number>();
  /** By the id of the path: repeats that differed there. */
  readonly noise = new Map<number, number>();
}

type Example = {
  readonly atMs: number;
  readonly asked: string;
  readonly legacy: string;
  readonly service: string;
};

const add = <K>(counts: Map<K, number>, key: K, count = 1) => counts.set(key, (counts.get(key) ?? 0) + count);

export class RouteCounts {
  readonly #route: string;
  readonly #examplesMsMax: number;
  readonly #minutes = new Map<number, Minute>();
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #examples = new Map<string, Example>();
  #newestAtMs: number | undefined;

  /** @param examplesMsMax how long the looks of differing values are kept, in milliseconds */
  constructor(route: string, examplesMsMax: number) {
    this.#route = route;
    this.#examplesMsMax = examplesMsMax;
  }

  /** @param asked the query as it may be shown */
  compared(nowMs: number, differences: readonly Difference[], asked: string): void {
    const minute = this.#minute(nowMs);
    this.#newestAtMs = nowMs;
    minute.compared += 1;
    if (differences.length === 0) {
      minute.equal += 1;
      return;
    }
    const ids = differences.map((each) => this.#idOf(each)).slice(0, combinedMax);
    const combination = [...new Set(ids)].sort((a, b) => a - b).join();
    const isKept = minute.combinations.has(combination) || minute.combinations.size < combinationsMax;
    add(minute.combinations, isKept ? combination : String(this.#id(otherPath)));
    for (const { kind, path, legacy, service } of differences) {
      const name = `${kind} ${path}`;
      if (this.#ids.has(name)) this.#examples.set(name, { atMs: nowMs, asked, legacy, service });
    }
  }

  /** Legacy was asked twice. */
  repeated(nowMs: number, differences: readonly Difference[]): void {
    const minute = this.#minute(nowMs);
    minute.repeated += 1;
    if (differences.length > 0) minute.noisy += 1;
    for (const id of new Set(differences.map((each) => this.#idOf(each)))) add(minute.noise, id);
  }

  /** Whether legacy has differed from itself at each of these places. */
  isNoise(differences: readonly Difference[]): boolean {
    const minutes = [...this.#minutes.values()];
    return differences.every(({ kind, path }) => {
      const id = this.#ids.get(`${kind} ${path}`);
      return id !== undefined && minutes.some(({ noise }) => noise.has(id));
    });
  }

  notCompared(nowMs: number): void {
    this.#minute(nowMs).notCompared += 1;
  }

  report(nowMs: number, minutes: number): RouteParity {
    this.#forget(nowMs);
    const from = Math.floor(nowMs / 60_000) - minutes;
    const sum = new Minute();
    for (const [at, minute] of this.#minutes) if (at > from) addMinute(sum, minute);
    const { different, countedOf, countOf } = judge(sum);
    const paths = [...new Set([...countOf.keys(), ...sum.noise.keys()])]
      .map((id): PathParity => this.#path(id, sum, countOf, countedOf, nowMs))
      .sort((a, b) => b.counted - a.counted || b.count - a.count)
      .slice(0, pathsMax);
    return {
      route: this.#route,
      compared: sum.compared,
      equal: sum.equal,
      different,
      repeated: sum.repeated,
      noisy: sum.noisy,
      notCompared: sum.notCompared,
      newestAgeMs: this.#newestAtMs === undefined ? null : Math.max(0, nowMs - this.#newestAtMs),
      paths,
    };
  }

  #path(
    id: number,
    { noise }: Minute,
    countOf: ReadonlyMap<number, number>,
    countedOf: ReadonlyMap<number, number>,
    nowMs: number,
  ): PathParity {
    const name = this.#names[id] ?? otherPath;
    const space = name.indexOf(' ');
    const kept = this.#examples.get(name);
    return {
      path: name.slice(space + 1),
      kind: name.slice(0, space),
      count: countOf.get(id) ?? 0,
      noise: noise.get(id) ?? 0,
      counted: countedOf.get(id) ?? 0,
      example: kept
        ? {
            ageMs: Math.max(0, nowMs - kept.atMs),
            asked: kept.asked,
            legacy: kept.legacy,
            service: kept.service,
          }
        : null,
    };
  }

  #minute(nowMs: number): Minute {
    const at = Math.floor(nowMs / 60_000);
    let minute = this.#minutes.get(at);
    if (!minute) {
      minute = new Minute();
      this.#minutes.set(at, minute);
      this.#forget(nowMs);
    }
    return minute;
  }

  #forget(nowMs: number): void {
    const from = Math.floor(nowMs / 60_000) - parityMinutesMax;
    for (const at of this.#minutes.keys()) if (at <= from) this.#minutes.delete(at);
    for (const [name, { atMs }] of this.#examples)
      if (nowMs - atMs > this.#examplesMsMax) this.#examples.delete(name);
  }

  #idOf({ kind, path }: Difference): number {
    return this.#id(`${kind} ${path}`);
  }

  #id(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const isRoom = this.#names.length < knownPathsMax || name === otherPath;
    if (!isRoom) return this.#id(otherPath);
    const id = this.#names.push(name) - 1;
    this.#ids.set(name, id);
    return id;
  }
}

function addMinute(sum: Minute, minute: Minute): void {
  sum.compared += minute.compared;
  sum.equal += minute.equal;
  sum.notCompared += minute.notCompared;
  sum.repeated += minute.repeated;
  sum.noisy += minute.noisy;
  for (const [combination, count] of minute.combinations) add(sum.combinations, combination, count);
  for (const [id, count] of minute.noise) add(sum.noise, id, count);
}

/** Part of a comparison counts as one; what doubles lose does not. */
const wholeAbove = (excess: number) => Math.max(0, Math.ceil(excess - 1e-6));

/** What of the differences is more than noise. */
function judge({ compared, repeated, combinations, noise }: Minute) {
  const countOf = new Map<number, number>();
  /** Comparisons that differ at a path without noise. */
  let clear = 0;
  let maybe = 0;
  for (const [combination, count] of combinations) {
    const ids = combination.split(',').map(Number);
    for (const id of ids) add(countOf, id, count);
    if (ids.some((id) => !noise.has(id))) clear += count;
    else maybe += count;
  }
  const countedOf = new Map<number, number>();
  let above = 0;
  for (const [id, count] of countOf) {
    const met = noise.get(id);
    const counted = met === undefined ? count : wholeAbove(count - compared * shareAtMost(met, repeated));
    countedOf.set(id, counted);
    if (met !== undefined) above += counted;
  }
  return { different: clear + Math.min(maybe, above), countOf, countedOf };
}
