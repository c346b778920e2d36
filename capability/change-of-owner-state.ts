// The states of a change of owner, and what each one does: one thing. Pure.
import type { Blocker } from './blockers.ts';
import type { Side } from './capability.ts';
import type { ChangeOfOwner, End } from './change-of-owner-place.ts';

/** Numbers from a counter, new for each attempt and never used again. */
export type Attempt = { readonly hold: bigint; readonly turn: bigint };

export type Under = { readonly change: ChangeOfOwner; readonly attempt: Attempt };

/** Waiting for the stream to open a side: X before anything, Y after the close. */
type Awaiting = Under & { readonly at: 'await-owner' | 'await-open' };

/** Tried again while there is time. `inTheWay`: who was, when that was last seen; a look may come too late to see it. */
type Trying = Under & { readonly at: 'turn' | 'close'; readonly inTheWay?: Blocker | undefined };

/** Nothing is closed yet, as far as this attempt knows. */
export type Acting =
  | Trying
  | (Under & {
      readonly at: 'hold' | 'acknowledge' | 'read-turn' | 'drain' | 'xa' | 'probe' | 'check' | 'read-close';
    });

/** Y owns. */
export type Finishing = Under & { readonly at: 'release' | 'record' };

/** The hold first, so that no turn that is still on its way can match; then the turn; then a look. */
export type Undoing = Under & { readonly at: 'unhold' | 'unturn' | 'recheck'; readonly because: string };

export type Ended = { readonly at: 'ended'; readonly change: ChangeOfOwner } & End;

export type State = Awaiting | Acting | Finishing | Undoing | Ended;

/** Each is answered by the events named. */
export type Action =
  /** `fences`, `unreadable` */
  | { readonly do: 'read-fences' }
  /** An outcome. */
  | {
      readonly do: 'hold' | 'turn' | 'probe' | 'close' | 'remove-hold' | 'end-turn';
      readonly on: Side;
    }
  /** `replicas`, `unreadable` */
  | { readonly do: 'read-replicas' }
  /** `fence`, `unreadable` */
  | { readonly do: 'read-fence'; readonly on: Side }
  /** `drain`, `unreadable` */
  | { readonly do: 'read-drain'; readonly on: Side }
  /** `xa`, `unreadable` */
  | { readonly do: 'recover-xa'; readonly on: Side }
  /** `checked`, `unreadable` */
  | { readonly do: 'check' }
  /** Tell the replicas and remove the hold, then `replicas`, `unreadable`. */
  | { readonly do: 'release' }
  /** The phase, in the control store: `rows` (0: recorded before), `lost`, `refused`; `fences` where it was not to be recorded any more */
  | { readonly do: 'record' }
  | { readonly do: 'nothing' };

export type Step = { readonly state: State; readonly action: Action };

export const enter = (state: State): Step => ({ state, action: actionIn(state) });

/** What each state does: one thing. */
function actionIn({ at, change: { from, to } }: State): Action {
  switch (at) {
    case 'await-owner':
    case 'await-open':
    case 'recheck':
      return { do: 'read-fences' };
    case 'hold':
      return { do: 'hold', on: from };
    case 'acknowledge':
      return { do: 'read-replicas' };
    case 'turn':
      return { do: 'turn', on: from };
    case 'read-turn':
    case 'read-close':
      return { do: 'read-fence', on: from };
    case 'drain':
      return { do: 'read-drain', on: to };
    case 'xa':
      return { do: 'recover-xa', on: from };
    case 'probe':
      return { do: 'probe', on: to };
    case 'check':
      return { do: 'check' };
    case 'close':
      return { do: 'close', on: from };
    case 'unhold':
      return { do: 'remove-hold', on: from };
    case 'unturn':
      return { do: 'end-turn', on: from };
    case 'release':
      return { do: 'release' };
    case 'record':
      return { do: 'record' };
    case 'ended':
      return { do: 'nothing' };
  }
}
