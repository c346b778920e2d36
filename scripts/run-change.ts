// Runs one attempt at a change of owner: does what the machine says, one statement or one look at a time, and tells it what
// came of it (capability/change-of-owner.ts decides; docs/change-of-owner.md has the steps).
import { setTimeout as delay } from 'node:timers/promises';
import type { Capability, Side } from '../capability/capability.ts';
import { type Event, next, type Replica, resume } from '../capability/change-of-owner.ts';
import { type ChangeOfOwner, type End, type Fences, placeOf } from '../capability/change-of-owner-place.ts';
import type { Action, Attempt, State } from '../capability/change-of-owner-state.ts';
import {
  type At,
  close,
  endTurn,
  hold,
  type Outcome,
  preparedXa,
  probe,
  readFence,
  readFences,
  readHold,
  readTurnMet,
  removeHold,
  turn,
} from '../capability/fence.ts';
import type { ChangeJournal } from './change-journal.ts';
import type { ChangeSessions } from './change-sessions.ts';
import type { Facades } from './facades.ts';

/**
 * Of the hold and of the turn: what is kept waiting goes on by itself after so long. The hold, and the look that finds it over, end
 * within 4 s.
 */
const holdSeconds = 3.5;
const turnSeconds = 2;
/** A facade that has something in flight is waited for so long before it is asked again. */
const inFlightMsMax = 100;
/** Between two looks at what somebody else has to do. */
const lookAgainMs = 2;
/** After so many looks it is nothing that takes moments. */
const hastyLooksMax = 200;
const patientMs = 50;
/** For undoing what was begun. */
const undoMsMax = 10_000;
/** How often facades are asked how full their holds are. */
const strainMs = 250;

export type RunDeps = {
  readonly capability: Capability;
  readonly sessions: ChangeSessions;
  readonly facades: Facades;
  readonly journal: ChangeJournal;
  /** What is to be true just before the close, beside what the machine asks for itself. @returns faults */
  readonly check: (change: ChangeOfOwner, attempt: Attempt) => Promise<string[]>;
  /** Writes the phase. @returns 0 when it was there before */
  readonly record: (change: ChangeOfOwner) => Promise<0 | 1>;
  /** What happened, and when, in milliseconds since the attempt began. */
  readonly tell: (step: StepTaken) => void;
  /** Somebody interrupts. */
  readonly signal: AbortSignal;
  /** Nothing is waited for any longer than this, whoever it is. */
  readonly attemptMsMax: number;
};

export type StepTaken = { readonly step: State['at']; readonly atMs: number; readonly event: string };

export type Ran = {
  readonly end: End;
  readonly steps: readonly StepTaken[];
  /** From the hold until every facade has let go, when it came to that. */
  readonly heldMs: number | undefined;
};

export async function runChange(
  deps: RunDeps,
  change: ChangeOfOwner,
  attempt: Attempt,
  fences: Fences,
): Promise<Ran> {
  const actor = new Actor(deps, change, attempt);
  return actor.run(fences);
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

class Actor {
  readonly #deps: RunDeps;
  readonly #change: ChangeOfOwner;
  readonly #attempt: Attempt;
  readonly #startedAt = performance.now();
  readonly #steps: StepTaken[] = [];
  /** Of the same step. */
  #looks = 0;
  #giveUps = 0;
  #strain: { at: number; replicas: readonly Replica[] | undefined } = {
    at: performance.now(),
    replicas: undefined,
  };

  constructor(deps: RunDeps, change: ChangeOfOwner, attempt: Attempt) {
    this.#deps = deps;
    this.#change = change;
    this.#attempt = attempt;
  }

  async run(fences: Fences): Promise<Ran> {
    let step = resume(this.#change, this.#attempt, fences);
    while (step.state.at !== 'ended') {
      const { state } = step;
      const between = this.#betweenSteps(state);
      const event = between ?? (await this.#act(step.action));
      step = next(state, event);
      if (step.state.at !== state.at || between) this.#took(state.at, event);
      // The same again: not without a breath.
      this.#looks = step.state.at === state.at ? this.#looks + 1 : 0;
      if (this.#looks > 0) await delay(this.#looks > hastyLooksMax ? patientMs : lookAgainMs);
    }
    const at = (name: State['at']) => this.#steps.findLast((each) => each.step === name)?.atMs;
    const [from, until] = [at('hold'), at('release') ?? at('recheck')];
    const { outcome, reason } = step.state;
    return {
      end: { outcome, reason },
      steps: this.#steps,
      heldMs: from === undefined || until === undefined ? undefined : until - from,
    };
  }

  #took(at: State['at'], event: Event): void {
    const taken = {
      step: at,
      atMs: Math.round(performance.now() - this.#startedAt),
      event: eventText(event),
    };
    this.#steps.push(taken);
    this.#deps.journal.write(at, `${this.#attempt.hold} ${this.#attempt.turn} ${taken.event}`);
    this.#deps.tell(taken);
  }

  /** What is told to the machine unasked. */
  #betweenSteps(state: State): Event | undefined {
    const reason = this.#reasonToGiveUp(state);
    if (reason !== undefined) {
      this.#giveUps++;
      return { is: 'give-up', reason };
    }
    if (!isHolding(state.at)) return undefined;
    if (performance.now() - this.#strain.at > strainMs) {
      this.#strain = { at: performance.now(), replicas: undefined };
      this.#deps.facades.look(this.#change.capability, 0).then(
        (replicas) => {
          this.#strain.replicas = replicas;
        },
        () => undefined, // the next step that needs the control store says it
      );
    }
    const { replicas } = this.#strain;
    this.#strain.replicas = undefined;
    return replicas && { is: 'replicas', replicas, isLate: false };
  }

  /** Once, for what can be undone; a second time when even that does not come about. */
  #reasonToGiveUp(state: State): string | undefined {
    const { signal, journal, attemptMsMax } = this.#deps;
    const tookMs = performance.now() - this.#startedAt;
    if (tookMs > attemptMsMax + undoMsMax) return 'a server did not answer';
    if (this.#giveUps > 0) return undefined;
    if (signal.aborted) return 'it was interrupted';
    if (tookMs > attemptMsMax) return `it took longer than ${attemptMsMax / 1000} s`;
    return isBeforeClose(state.at) ? journal.trouble : undefined;
  }

  async #act(action: Action): Promise<Event> {
    const { capability, from, epoch } = this.#change;
    switch (action.do) {
      case 'hold':
        return this.#outcome(action.on, (on) => hold(on, capability, this.#attempt.hold, holdSeconds));
      case 'turn':
        return this.#outcome(action.on, (on) => turn(on, this.#at, this.#attempt, turnSeconds));
      case 'probe':
        return this.#outcome(action.on, (on) => probe(on, { capability, owner: from, epoch }));
      case 'close':
        return this.#outcome(action.on, (on) => close(on, this.#at, this.#attempt.turn, this.#change.to));
      case 'remove-hold':
        return this.#outcome(action.on, (on) => removeHold(on, capability, this.#attempt.hold));
      case 'end-turn':
        return this.#outcome(action.on, (on) => endTurn(on, this.#at, this.#attempt.turn));
      case 'record':
        return this.#record();
      case 'nothing':
        throw new Error('a change that has ended asks for nothing');
      default:
        try {
          return await this.#look(action);
        } catch (error) {
          if ('on' in action) this.#deps.sessions.drop(action.on);
          else for (const side of ['legacy', 'service'] as const) this.#deps.sessions.drop(side);
          return { is: 'unreadable', message: messageOf(error) };
        }
    }
  }

  get #at(): At {
    const { capability, from, epoch } = this.#change;
    return { capability, owner: from, epoch };
  }

  async #outcome(
    side: Side,
    statement: (on: Awaited<ReturnType<ChangeSessions['of']>>) => Promise<Outcome>,
  ): Promise<Outcome> {
    const { sessions } = this.#deps;
    try {
      const outcome = await statement(await sessions.of(side));
      if (outcome.is === 'lost') sessions.drop(side);
      return outcome;
    } catch (error) {
      sessions.drop(side);
      return { is: 'lost', message: messageOf(error) };
    }
  }

  async #record(): Promise<Event> {
    try {
      return { is: 'rows', rows: await this.#deps.record(this.#change) };
    } catch (error) {
      // Perhaps because somebody has begun another change since, and then what is recorded is that one's affair.
      const looked = await this.#act({ do: 'read-fences' });
      const isOurs = looked.is !== 'fences' || placeOf(this.#change, looked.fences) === 'open';
      return isOurs ? { is: 'refused', message: messageOf(error) } : looked;
    }
  }

  /** @throws when it does not come about */
  async #look(action: Looking): Promise<Event> {
    const { sessions, facades, check } = this.#deps;
    const { capability, from, to } = this.#change;
    switch (action.do) {
      case 'read-fences': {
        const fences = await readFences(await sessions.both(), capability);
        if (!fences) throw new Error(`${capability} is not installed on both sides: run "banyan install"`);
        return { is: 'fences', fences };
      }
      case 'read-fence': {
        const row = await readFence(await sessions.sql(action.on), capability, 'share');
        if (!row) throw new Error(`${capability} has no fence on ${action.on}: run "banyan install"`);
        return { is: 'fence', row };
      }
      case 'read-replicas': {
        const replicas = await facades.look(capability, inFlightMsMax);
        return { is: 'replicas', replicas, isLate: await this.#isHoldOver() };
      }
      case 'release':
        await removeHold(await sessions.of(from), capability, this.#attempt.hold);
        return { is: 'replicas', replicas: await facades.look(capability, 0), isLate: false };
      case 'read-drain': {
        const met = await readTurnMet(await sessions.sql(to), capability, from);
        return { is: 'drain', turn: met, isLate: met !== this.#attempt.turn && (await this.#isTurnOver()) };
      }
      case 'recover-xa':
        return { is: 'xa', prepared: await preparedXa(await sessions.sql(action.on)) };
      case 'check':
        return { is: 'checked', faults: await check(this.#change, this.#attempt) };
    }
  }

  async #isHoldOver(): Promise<boolean> {
    const found = await readHold(await this.#deps.sessions.sql(this.#change.from), this.#change.capability);
    return found?.id !== this.#attempt.hold || found.isOver;
  }

  async #isTurnOver(): Promise<boolean> {
    const { from, capability } = this.#change;
    const found = await readFence(await this.#deps.sessions.sql(from), capability, 'none');
    return found?.turn?.id !== this.#attempt.turn || found.turn.isOver;
  }
}

type Looking = Extract<
  Action,
  {
    do: 'read-fences' | 'read-fence' | 'read-replicas' | 'release' | 'read-drain' | 'recover-xa' | 'check';
  }
>;

const isHolding = (at: State['at']) => ['turn', 'drain', 'xa', 'probe', 'check', 'close'].includes(at);
const isBeforeClose = (at: State['at']) => at === 'hold' || at === 'acknowledge' || isHolding(at);

function eventText(event: Event): string {
  switch (event.is) {
    case 'rows':
      return `${event.rows} row${event.rows === 1 ? '' : 's'}`;
    case 'busy':
      return `a lock was in the way${event.blocker ? `: thread ${event.blocker.thread}, ${event.blocker.user}` : ''}`;
    case 'replicas':
      return event.replicas
        .map(({ name, heartbeat, held }) => `${name} ${heartbeat}${held > 0 ? ` holds ${held}` : ''}`)
        .join(', ');
    case 'fences':
      return (['legacy', 'service'] as const)
        .map((side) => `${side}: ${event.fences[side].owner} at ${event.fences[side].epoch}`)
        .join(', ');
    case 'fence':
      return `${event.row.owner} at ${event.row.epoch}`;
    case 'drain':
      return event.isLate ? 'too late' : `turn ${event.turn} met`;
    case 'xa':
      return `${event.prepared.length} prepared`;
    case 'checked':
      return event.faults.length === 0 ? 'no fault' : event.faults.join('; ');
    case 'lost':
    case 'refused':
    case 'unreadable':
      return event.message;
    case 'give-up':
      return event.reason;
  }
}
