// The way of a capability from the monolith to its service: which steps are behind it, and which one is next. Pure.
import type { Facts } from './gate.ts';

export type WayStep = {
  readonly step: 'backfill' | 'verify' | 'observe' | 'shift' | 'reads' | 'enforce' | 'cutover' | 'retire';
  readonly state: 'done' | 'next' | 'later';
  /** The command's words, the capability's name left out. */
  readonly words: readonly [command: string, ...options: string[]];
  readonly means: string;
};

/** A first few clients. */
const firstPercent = 10;

const isPast = (phase: Facts['phase'], first: Facts['phase'][]) => first.includes(phase);

/** In order; at most one is next, and none when the capability is retired. */
export function wayOf(facts: Facts): WayStep[] {
  const { phase, backfilledAgeMs, verifiedAgeMs, fenceModes, reads } = facts;
  const modes = new Set(fenceModes.map(({ mode }) => mode));
  const isOwned = isPast(phase, ['owned', 'retired']);
  const steps: (Omit<WayStep, 'state'> & { readonly isDone: boolean })[] = [
    {
      step: 'backfill',
      words: ['backfill'],
      means: 'the service gets the rows, and follows',
      isDone: isOwned || backfilledAgeMs !== undefined,
    },
    {
      step: 'verify',
      words: ['verify'],
      means: 'every row is the same on both sides',
      isDone: isOwned || verifiedAgeMs !== undefined,
    },
    {
      step: 'observe',
      words: ['fence', '--observe', '--execute'],
      means: 'the fence records who writes',
      isDone: isOwned || (modes.size > 0 && !modes.has('off')),
    },
    {
      step: 'shift',
      words: ['shift', '--reads', String(firstPercent)],
      means: 'a first few clients read from the service',
      // Reads that have gone back by themselves begin with a few again.
      isDone: isOwned || (isPast(phase, ['canary', 'reads']) && reads?.percent !== 0),
    },
    {
      step: 'reads',
      words: ['shift', '--reads', '100'],
      means: 'everybody reads from the service',
      isDone: isOwned || (phase === 'reads' && reads?.percent === 100),
    },
    {
      step: 'enforce',
      words: ['fence', '--enforce', '--execute'],
      means: 'the side that is not owner refuses writes',
      isDone: isOwned || (modes.size === 1 && modes.has('enforce')),
    },
    {
      step: 'cutover',
      words: ['cutover', '--execute'],
      means: 'the service takes the writes, too; "banyan rollback" is the way back',
      isDone: isOwned,
    },
    {
      step: 'retire',
      words: ['retire', '--execute'],
      means: "the monolith's tables no longer follow: there is no way back",
      isDone: phase === 'retired',
    },
  ];
  const next = steps.findIndex(({ isDone }) => !isDone);
  return steps.map(({ isDone, ...step }, index) => ({
    ...step,
    state: isDone ? 'done' : index === next ? 'next' : 'later',
  }));
}

/** As one types it. */
export const commandLine = (capability: string, [command, ...options]: WayStep['words']): string =>
  ['banyan', command, capability, ...options].join(' ');
