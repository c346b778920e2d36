// Which side answers a request. Pure: everything it depends on is handed in.
import type { Route, Side } from '../capability/capability.ts';
import { readInterlock, type Standing } from '../capability/phase.ts';

export type Reason =
  | 'undeclared'
  | 'write'
  | 'untranslated'
  | 'also-reads'
  | 'owner'
  | 'own-write'
  | 'interlock'
  | 'flag-off'
  | 'flag-on';

const unpinned = new Set<Reason>(['owner', 'interlock', 'flag-off', 'flag-on']);

/** Neither a write, nor a route that cannot move, nor a client that must see what it wrote. */
export const isUnpinned = (reason: Reason): boolean => unpinned.has(reason);

export type Choice = { readonly side: Side; readonly reason: Reason };

export type Question = {
  /** Undefined when no capability declares the request. */
  readonly route: Route | undefined;
  /** Undefined as long as the control store has not been read. */
  readonly standing: Standing | undefined;
  /** By the fences' word; undefined as long as none was read. */
  readonly owner: Side | undefined;
  /** The read flag for this client; asked only when it counts. */
  readonly isFlagOn: () => boolean;
};

const legacy = (reason: Reason): Choice => ({ side: 'legacy', reason });

/** Legacy may have stopped following: where no fence can be read, the recorded phase says who owned last. */
const ownedBy = ({ standing, owner }: Question): Side | undefined =>
  owner ?? (standing?.phase === 'owned' || standing?.phase === 'retired' ? 'service' : undefined);

/**
 * Writes go where the fences admit them, which is decided when they are sent. Reads follow the flag, where the evidence permits it,
 * and the service once it owns.
 */
export function chooseSide(question: Question): Choice {
  const { route, standing, isFlagOn } = question;
  if (!route) return legacy('undeclared');
  if (route.kind === 'write') return legacy('write');
  if (!route.translate) return legacy('untranslated');
  if (route.alsoReads && route.alsoReads.length > 0) return legacy('also-reads');
  if (ownedBy(question) === 'service') return { side: 'service', reason: 'owner' };
  if (!readInterlock(standing).open) return legacy('interlock');
  return isFlagOn() ? { side: 'service', reason: 'flag-on' } : legacy('flag-off');
}
