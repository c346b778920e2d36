// What was done to whom, and when; and whether that explains that a client had no answer.
import type { Trouble } from '../test/story/shopper.ts';
import { otherSide, type Side } from './sides.ts';

/** What clients need; nobody needs the command, the worker or the control store. */
export type Need = 'facade' | 'facade-2' | 'monolith' | 'reviews' | 'legacy database' | 'services database';

export type Incident = {
  readonly fault: string;
  readonly hits: readonly Need[];
  readonly from: number;
  /** When it answers again. */
  to: number;
};

/** Who owns, from a moment on; while the owner changes it may be either. */
export type Ownership = { readonly from: number; readonly owners: readonly Side[] };

/** What was in hand somewhere, or has not heard yet that all is well again. */
export const afterMathMs = 10_000;

const facades: readonly Need[] = ['facade', 'facade-2'];
const sideNeeds: Readonly<Record<Side, readonly Need[]>> = {
  legacy: ['monolith', 'legacy database'],
  service: ['reviews', 'services database'],
};

/** @returns who may have owned at some moment of it */
function ownersDuring(
  ownership: readonly Ownership[],
  { startedMs, endedMs }: Pick<Trouble, 'startedMs' | 'endedMs'>,
): readonly Side[] {
  const during = ownership.filter(
    ({ from }, index) =>
      from <= endedMs && (ownership[index + 1]?.from ?? Number.POSITIVE_INFINITY) >= startedMs,
  );
  return [...new Set(during.flatMap(({ owners }) => owners))];
}

/** A write that the service executes needs the monolith, too: it knows whose session it is. */
function needsOf(trouble: Trouble, owners: readonly Side[]): readonly Need[] {
  const own = facades[trouble.facade];
  return [
    ...(own ? [own] : []),
    ...owners.flatMap((side) => [
      ...sideNeeds[side],
      ...(side === 'service' && trouble.kind === 'write' ? sideNeeds[otherSide(side)] : []),
    ]),
  ];
}

/**
 * @returns the incident that explains it: its request was under way during it, or began at most ten seconds after it, and it
 * was one of a server that the request needs. A wrong answer and a stale read are never explained.
 */
export function explain(
  trouble: Trouble,
  incidents: readonly Incident[],
  ownership: readonly Ownership[],
): Incident | undefined {
  if (trouble.what !== 'failed') return undefined;
  const needs = needsOf(trouble, ownersDuring(ownership, trouble));
  return incidents.find(
    ({ hits, from, to }) =>
      trouble.endedMs >= from &&
      trouble.startedMs <= to + afterMathMs &&
      hits.some((hit) => needs.includes(hit)),
  );
}
