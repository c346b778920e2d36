// The way that reviews go in a drill of the whole, by the seed alone: there and back and there again, and what happens on it.
import { steps } from '../test/story/owner-steps.ts';
import type { Chance } from '../test/sync/seed.ts';

export type Blow<Kind extends string> = {
  readonly fault: Kind;
  /** If it lasts. */
  readonly lastingMs: number;
  /** After all was well again. */
  readonly afterMs: number;
};

/** When the first blow strikes: just before a step's statement goes out, or its answer comes; or before the command begins. */
export type Moment =
  | { readonly is: 'quiet' }
  | { readonly is: 'step'; readonly step: string; readonly lose: 'request' | 'answer' };

export type Leg<Kind extends string> = {
  readonly at: Moment;
  readonly blows: readonly Blow<Kind>[];
  /** The nightly batch runs before the owner changes, or meanwhile. */
  readonly batch: 'before' | 'meanwhile';
};

function shuffled<T>(chance: Chance, from: readonly T[]): T[] {
  const left = [...from];
  return Array.from(from, () => left.splice(chance.below(left.length), 1)).flat();
}

/** Each kind of fault once in an order of its own, each step likewise, then again. */
export function route<Kind extends string>(
  chance: Chance,
  kinds: readonly Kind[],
  legs: number,
): Leg<Kind>[] {
  const deck = <T>(cards: readonly T[]) => {
    let left: T[] = [];
    return (): T => {
      if (left.length === 0) left = shuffled(chance, cards);
      const [card] = left.splice(0, 1);
      if (card === undefined) throw new Error('an empty deck');
      return card;
    };
  };
  const nextKind = deck(kinds);
  const nextAt = deck<Moment>([
    { is: 'quiet' },
    ...steps.flatMap(({ step }) =>
      (['request', 'answer'] as const).map((lose) => ({ is: 'step', step, lose }) as const),
    ),
  ]);
  return Array.from({ length: legs }, () => ({
    at: nextAt(),
    blows: Array.from({ length: chance.below(4) === 0 ? 2 : 1 }, () => ({
      fault: nextKind(),
      lastingMs: 200 + chance.below(2_800),
      afterMs: chance.below(1_000),
    })),
    batch: chance.below(2) === 0 ? 'before' : 'meanwhile',
  }));
}
