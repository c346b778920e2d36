// The last seconds of a capability's reads, by copies of its tally, and whether they say that the service fails. Pure: time is handed in.
import { type AnalysisLimits, type Failing, judgeNow } from '../capability/analysis.ts';
import { type Tally, tallySince } from '../capability/tally.ts';

export const lookEveryMs = 500;
/** The longest window. */
const looksMax = 20;
/** A window reaches back until it has so many reads of the service, or as far as there are looks. */
const readsMin = 20;
/** So many looks in a row must say so. */
const failingMin = 2;

export type Verdict = Failing & { readonly recent: Tally };

export class Recent {
  readonly #limits: AnalysisLimits;
  readonly #parityMin: number;
  readonly #looks: Tally[] = [];
  #failing = 0;

  constructor(limits: AnalysisLimits, parityMin: number) {
    this.#limits = limits;
    this.#parityMin = parityMin;
  }

  /** What was before says nothing of what comes. */
  clear(): void {
    this.#looks.length = 0;
    this.#failing = 0;
  }

  /** Each `lookEveryMs`. @returns what is wrong, when it is so for certain */
  look(now: Tally): Verdict | undefined {
    const lately = tallySince(this.#looks[0] ?? now, now);
    const window = (count: (tally: Tally) => number) =>
      this.#looks.map((earlier) => tallySince(earlier, now)).findLast((tally) => count(tally) >= readsMin) ??
      lately;
    this.#looks.push(now);
    if (this.#looks.length > looksMax) this.#looks.shift();
    const byReads = window(({ service }) => service.reads);
    const byCompared = window(({ compared }) => compared);
    const recent = { ...byReads, compared: byCompared.compared, differing: byCompared.differing };
    const failing = judgeNow({ recent, lately, limits: this.#limits, parityMin: this.#parityMin });
    this.#failing = failing ? this.#failing + 1 : 0;
    return failing && this.#failing >= failingMin ? { ...failing, recent } : undefined;
  }
}
