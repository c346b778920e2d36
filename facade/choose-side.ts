// Which side answers a request. Pure: everything it depends on is handed in.
import type { Route, Side } from '../capability/capability.ts';
import { readInterlock, type Standing } from '../capability/phase.ts';

export type Reason =
  | 'undeclared'
  | 'write'
  | 'untranslated'
  | 'also-reads'
  | 'interlock'
  | 'flag-off'
  | 'flag-on';

export type Choice = { readonly side: Side; readonly reason: Reason };

export type Question = {
  /** Undefined when no capability declares the request. */
  readonly route: Route | undefined;
  /** Undefined as long as the control store has not been read. */
  readonly standing: Standing | undefined;
  /** The read flag for this client; asked only when it counts. */
  readonly isFlagOn: () => boolean;
};

const legacy = (reason: Reason): Choice => ({ side: 'legacy', reason });

/** Writes follow the owner, which is legacy; reads follow the flag, where the evidence permits it. */
export function chooseSide({ route, standing, isFlagOn }: Question): Choice {
  if (!route) return legacy('undeclared');
  if (route.kind === 'write') return legacy('write');
  if (!route.translate) return legacy('untranslated');
  if (route.alsoReads && route.alsoReads.length > 0) return legacy('also-reads');
  if (!readInterlock(standing).open) return legacy('interlock');
  return isFlagOn() ? { side: 'service', reason: 'flag-on' } : legacy('flag-off');
}
