// The change of owner as the one who runs it sees it (docs/change-of-owner.md): next(state, event) → state and action.
// Pure: no I/O, no clock. What a server answered is an event; what to do next is an action, ONE statement or one look.
// X is the side that owns, Y the one that shall. Cutover and rollback are this same machine with X and Y swapped.
import type { Blocker } from './blockers.ts';
import {
  type ChangeOfOwner,
  disagree,
  type End,
  type Fences,
  placeOf,
  superseded,
} from './change-of-owner-place.ts';
import {
  type Acting,
  type Attempt,
  type Ended,
  enter,
  type Finishing,
  type State,
  type Step,
  type Under,
  type Undoing,
} from './change-of-owner-state.ts';
import type { FenceRow, Outcome } from './fence.ts';

/** A facade replica, as the control store and its own answer have it. */
export type Replica = {
  readonly name: string;
  /** `over`: gone for so long that it counts as stopped. `silent`: it should have been heard of. */
  readonly heartbeat: 'alive' | 'silent' | 'over';
  /** Holds for which it has nothing in flight. */
  readonly acknowledged: readonly bigint[];
  /** The highest that it has taken. */
  readonly epoch: bigint;
  readonly held: number;
  readonly heldMax: number;
  readonly oldestHeldMs: number;
  readonly holdAgeMsMax: number;
};

export type Event =
  | Outcome
  /** Both rows as they stood at one moment. */
  | { readonly is: 'fences'; readonly fences: Fences }
  /** X's row, read FOR SHARE. */
  | { readonly is: 'fence'; readonly row: FenceRow }
  /** Also between any two steps, as long as nothing is closed. `isLate`: X's clock is past the hold. */
  | { readonly is: 'replicas'; readonly replicas: readonly Replica[]; readonly isLate: boolean }
  /** The newest turn that Y's stream has met. `isLate`: X's clock is past the turn's deadline. */
  | { readonly is: 'drain'; readonly turn: bigint | null; readonly isLate: boolean }
  | { readonly is: 'xa'; readonly prepared: readonly string[] }
  | { readonly is: 'checked'; readonly faults: readonly string[] }
  /** A look that did not come about. */
  | { readonly is: 'unreadable'; readonly message: string }
  /** An operator's interrupt, the end of --wait, a control store that takes no journal. Between steps only. */
  | { readonly is: 'give-up'; readonly reason: string };

/**
 * Where an attempt starts, first or again: from the fences' word and no journal's. An old turn is never gone on with.
 * @param attempt new numbers
 */
export function resume(change: ChangeOfOwner, attempt: Attempt, fences: Fences): Step {
  const under = { change, attempt };
  const place = placeOf(change, fences);
  switch (place) {
    case 'before-owner':
      return enter({ at: 'await-owner', ...under });
    case 'unchanged':
      return enter({ at: 'hold', ...under });
    case 'closed':
      return enter({ at: 'await-open', ...under });
    case 'open':
      return enter({ at: 'release', ...under });
    case 'superseded':
      return ended(change, 'superseded', superseded(change, fences));
    case 'disagree':
      return ended(change, 'undone', disagree(fences));
  }
}

/** @throws Error for an event that the action cannot have: the caller's mistake */
export function next(state: State, event: Event): Step {
  if (state.at === 'ended') return enter(state);
  if (event.is === 'give-up') return givenUp(state, event.reason);
  switch (state.at) {
    case 'await-owner':
      return event.is === 'fences' ? resume(state.change, state.attempt, event.fences) : again(state, event);
    case 'await-open':
      return event.is === 'fences' ? afterClose(state, event.fences) : again(state, event);
    case 'release':
    case 'record':
      return released(state, event);
    case 'unhold':
      // Whatever it answered: a hold that is still there ends by itself.
      return outcomeOnly(event) && enter({ ...state, at: 'unturn' });
    case 'unturn':
      return outcomeOnly(event) && enter({ ...state, at: 'recheck' });
    case 'recheck':
      return rechecked(state, event);
    default:
      return beforeClose(state, event);
  }
}

function beforeClose(state: Acting, event: Event): Step {
  if (event.is === 'replicas' && state.at !== 'read-close') {
    const strained = event.replicas.find(isStrained);
    if (strained) return undo(state, `the hold of replica ${strained.name} is half full or half its age`);
    return state.at === 'acknowledge' ? acknowledged(state, event.replicas, event.isLate) : enter(state);
  }
  const { change, attempt } = state;
  const { from, to, epoch } = change;
  const under = { change, attempt };
  switch (state.at) {
    case 'hold':
      if (event.is === 'rows') return enter({ ...under, at: 'acknowledge' });
      return undo(state, `the hold was not written on ${from}: ${said(event)}`);
    case 'acknowledge':
      return again(state, event);
    case 'turn':
      if (event.is === 'rows' && event.rows === 1) return enter({ ...under, at: 'drain' });
      if (event.is === 'rows')
        return undo(
          state,
          `${from} was not turned: the hold is over, or ${from} does not own at epoch ${epoch}`,
        );
      if (event.is === 'busy' && !event.isLate)
        return enter({ ...state, inTheWay: event.blocker ?? state.inTheWay });
      if (event.is === 'lost') return enter({ ...under, at: 'read-turn' });
      return undo(state, `${from} could not be turned: ${said(event, state.inTheWay)}`);
    case 'read-turn':
      if (event.is !== 'fence') return again(state, event);
      return isInForce(state, event.row)
        ? enter({ ...under, at: 'drain' })
        : undo(state, `the turn of ${from} was not answered and is not in force`);
    case 'drain':
      if (event.is !== 'drain') return again(state, event);
      if (event.turn === attempt.turn) return enter({ ...under, at: 'xa' });
      return event.isLate
        ? undo(state, `${to} did not apply up to the turn within its deadline`)
        : enter(state);
    case 'xa':
      if (event.is !== 'xa') return undo(state, `XA RECOVER on ${from}: ${said(event)}`);
      if (event.prepared.length === 0) return enter({ ...under, at: 'probe' });
      return undo(state, `${from} has prepared XA transactions: ${event.prepared.join(', ')}`);
    case 'probe':
      if (event.is === 'rows' && event.rows === 1) return enter({ ...under, at: 'check' });
      return undo(
        state,
        event.is === 'rows'
          ? `${to}'s fence is not at epoch ${epoch}: it could not be opened`
          : `${to}'s fence row cannot be locked: ${said(event)}`,
      );
    case 'check':
      if (event.is !== 'checked') return undo(state, `the last checks: ${said(event)}`);
      return event.faults.length === 0
        ? enter({ ...under, at: 'close' })
        : undo(state, event.faults.join('; '));
    case 'close':
      if (event.is === 'rows' && event.rows === 1) return enter({ ...under, at: 'await-open' });
      if (event.is === 'rows') return undo(state, `the turn was over before ${from} could be closed`);
      if (event.is === 'busy' && !event.isLate)
        return enter({ ...state, inTheWay: event.blocker ?? state.inTheWay });
      if (event.is === 'lost') return enter({ ...under, at: 'read-close' });
      return undo(state, `${from} could not be closed: ${said(event, state.inTheWay)}`);
    case 'read-close':
      return event.is === 'fence' ? readBack(state, event.row) : again(state, event);
  }
}

/** The close was sent and not answered: it may still be on its way. */
function readBack(state: Acting, row: FenceRow): Step {
  const { from, epoch } = state.change;
  // By whoever: both rows say the rest.
  if (row.owner !== from || row.epoch !== epoch) return enter({ ...state, at: 'await-open' });
  // A close that comes now matches nothing: another turn has taken the row, or the deadline has passed.
  if (!isInForce(state, row)) return undo(state, `${from} was not closed`);
  return enter(state);
}

const isInForce = ({ attempt }: Under, { turn }: FenceRow) => turn?.id === attempt.turn && !turn.isOver;

const isStrained = ({ held, heldMax, oldestHeldMs, holdAgeMsMax, heartbeat }: Replica) =>
  heartbeat !== 'over' && (held * 2 > heldMax || oldestHeldMs * 2 > holdAgeMsMax);

function acknowledged(state: Acting, replicas: readonly Replica[], isLate: boolean): Step {
  const silent = replicas.find(({ heartbeat }) => heartbeat === 'silent');
  if (silent) return undo(state, `replica ${silent.name} is silent`);
  const missing = replicas.filter(
    (replica) => replica.heartbeat !== 'over' && !replica.acknowledged.includes(state.attempt.hold),
  );
  if (missing.length === 0) return enter({ ...state, at: 'turn' });
  const names = missing.map(({ name }) => name).join(', ');
  return isLate ? undo(state, `the hold was over before ${names} acknowledged it`) : enter(state);
}

/** Y opens with the stream, whether somebody waits for it or not. */
function afterClose(state: Under, fences: Fences): Step {
  const { change, attempt } = state;
  const place = placeOf(change, fences);
  if (place === 'closed') return enter({ at: 'await-open', change, attempt });
  return place === 'open' || place === 'superseded'
    ? resume(change, attempt, fences)
    : ended(change, 'unfinished', disagree(fences));
}

function released(state: Finishing, event: Event): Step {
  const { change } = state;
  if (state.at === 'release') {
    if (event.is !== 'replicas') return again(state, event);
    const late = event.replicas.filter(
      ({ heartbeat, epoch }) => heartbeat !== 'over' && epoch <= change.epoch,
    );
    return late.length === 0 ? enter({ ...state, at: 'record' }) : enter(state);
  }
  // It was not to be recorded any more.
  if (event.is === 'fences') return resume(change, state.attempt, event.fences);
  if (event.is === 'rows') return ended(change, 'done', `${change.to} owns at epoch ${change.epoch + 1n}`);
  return ended(change, 'unfinished', `${change.to} owns, and the phase was not recorded: ${said(event)}`);
}

function rechecked(state: Undoing, event: Event): Step {
  const { change, attempt, because } = state;
  if (event.is !== 'fences') return again(state, event);
  const place = placeOf(change, event.fences);
  // A turn in force may be that of an earlier run of this command, with its close still on the way.
  if (place === 'unchanged' && event.fences[change.from].turn?.isOver === false) return enter(state);
  // Somebody else's attempt at the same change may have closed: then there is nothing to undo.
  return place === 'closed' || place === 'open' || place === 'superseded'
    ? resume(change, attempt, event.fences)
    : ended(change, 'undone', because);
}

function givenUp(state: Exclude<State, Ended>, reason: string): Step {
  const { change } = state;
  switch (state.at) {
    case 'await-owner':
      return ended(change, 'undone', `${reason}: ${change.from} is not open yet`);
    case 'read-close':
      return ended(change, 'unfinished', `${reason}: whether ${change.from} is closed is not known yet`);
    case 'await-open':
      return ended(
        change,
        'unfinished',
        `${reason}: ${change.from} is closed, the worker has not opened ${change.to} yet`,
      );
    case 'release':
      return ended(
        change,
        'unfinished',
        `${reason}: ${change.to} owns, not every facade replica has taken it`,
      );
    case 'record':
      return ended(change, 'unfinished', `${reason}: ${change.to} owns, the phase is not recorded`);
    case 'unhold':
    case 'unturn':
    case 'recheck':
      return ended(change, 'unfinished', `${state.because}; ${reason}: how the fences stand was not seen`);
    default:
      return undo(state, reason);
  }
}

/** @param inTheWay at an earlier try, where this one has not seen it */
function said(event: Event, inTheWay?: Blocker): string {
  switch (event.is) {
    case 'busy': {
      const blocker = event.blocker ?? inTheWay;
      return blocker === undefined
        ? 'a lock is in the way'
        : `locked by thread ${blocker.thread}, ${blocker.user}, in a transaction for ${blocker.seconds} s`;
    }
    case 'lost':
    case 'refused':
    case 'unreadable':
      return event.message;
    default:
      return unexpected(event);
  }
}

function unexpected(event: Event): never {
  throw new Error(`the change of owner had no use for "${event.is}" here`);
}

/** A look that gave nothing is looked again, until somebody gives up. */
function again(state: State, event: Event): Step {
  return event.is === 'unreadable' || event.is === 'replicas' ? enter(state) : unexpected(event);
}

function outcomeOnly(event: Event): true {
  return ['rows', 'busy', 'lost', 'refused'].includes(event.is) ? true : unexpected(event);
}

const undo = ({ change, attempt }: Under, because: string): Step =>
  enter({ at: 'unhold', change, attempt, because });

const ended = (change: ChangeOfOwner, outcome: End['outcome'], reason: string): Step =>
  enter({ at: 'ended', change, outcome, reason });
