// What was acknowledged to writers, and so must be there, once, on both sides.
import type { Effect } from './operations.ts';

/** What a side says of its rows and counters. */
export type Told = {
  /** `table key` → value. */
  readonly rows: ReadonlyMap<string, string>;
  readonly counters: ReadonlyMap<string, number>;
};

export type Account = {
  readonly lost: number;
  readonly doubled: number;
  /** The first of them, in words. */
  readonly examples: readonly string[];
};

const examplesMax = 10;

export class Ledger {
  /** What each row may be: one value, or several while nobody knows how a write ended; undefined: no such row. */
  readonly #rows = new Map<string, (string | undefined)[]>();
  readonly #counters = new Map<string, { acknowledged: number; undecided: number }>();
  #acknowledged = 0;

  /** @param begin what was there before the first write */
  constructor(begin: Told) {
    for (const [key, value] of begin.rows) this.#rows.set(key, [value]);
  }

  /** Writes so far whose answer has reached the writer. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  acknowledge(effects: readonly Effect[]): void {
    this.#acknowledged++;
    for (const effect of effects)
      if (effect.kind === 'count') this.#counter(effect.key).acknowledged++;
      else this.#rows.set(`${effect.table} ${effect.key}`, [effect.value]);
  }

  /** The answer was lost: done or not done, but not half, and not twice. */
  leaveOpen(effects: readonly Effect[]): void {
    for (const effect of effects)
      if (effect.kind === 'count') this.#counter(effect.key).undecided++;
      else {
        const key = `${effect.table} ${effect.key}`;
        this.#rows.set(key, [...(this.#rows.get(key) ?? [undefined]), effect.value]);
      }
  }

  /** @param side for the words */
  audit(side: string, told: Told): Account {
    let lost = 0;
    let doubled = 0;
    const examples: string[] = [];
    const say = (text: string) => {
      if (examples.length < examplesMax) examples.push(`${side}: ${text}`);
    };
    for (const [key, possible] of this.#rows) {
      const value = told.rows.get(key);
      if (possible.includes(value)) continue;
      lost++;
      say(
        `${key} is ${value ?? 'not there'}, acknowledged was ${possible.map((each) => each ?? 'its end').join(' or ')}`,
      );
    }
    for (const [key, value] of told.rows) {
      if (this.#rows.has(key)) continue;
      doubled++;
      say(`${key} is ${value}, which nobody was told is there`);
    }
    for (const [id, { acknowledged, undecided }] of this.#counters) {
      const value = told.counters.get(id) ?? 0;
      lost += Math.max(0, acknowledged - value);
      doubled += Math.max(0, value - acknowledged - undecided);
      if (value < acknowledged || value > acknowledged + undecided)
        say(`counter ${id} is ${value}, acknowledged were ${acknowledged}, and ${undecided} are open`);
    }
    return { lost, doubled, examples };
  }

  /** What was open is what the owner says it is: from now on it must stay so. */
  settle(owner: Told): void {
    for (const key of this.#rows.keys()) {
      const value = owner.rows.get(key);
      const possible = this.#rows.get(key) ?? [];
      if (possible.length > 1) this.#rows.set(key, [value]);
    }
    for (const [id, counter] of this.#counters) {
      counter.acknowledged = owner.counters.get(id) ?? 0;
      counter.undecided = 0;
    }
  }

  #counter(id: string): { acknowledged: number; undecided: number } {
    const known = this.#counters.get(id) ?? { acknowledged: 0, undecided: 0 };
    this.#counters.set(id, known);
    return known;
  }
}
