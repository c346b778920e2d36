// What `banyan cutover` and `banyan rollback` have in common: the gates, the lease, attempts, and how it is told.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import type { ChangeOfOwner, End, Fences } from '../capability/change-of-owner-place.ts';
import { begin, placeOf } from '../capability/change-of-owner-place.ts';
import {
  endChange,
  leaveLease,
  newNumber,
  pinChange,
  readChange,
  takeChangeLease,
} from '../capability/change-store.ts';
import { change as changePhase, record } from '../capability/control-store.ts';
import { readFences } from '../capability/fence.ts';
import type { Verdict } from '../capability/gate.ts';
import { changeChecks } from './change-checks.ts';
import { ChangeJournal } from './change-journal.ts';
import { holderNamed, takeLease } from './change-lease.ts';
import {
  actorOf,
  CommandError,
  connectAs,
  type Done,
  isLostConnection,
  type Output,
  ServerAwayError,
  standingOf,
} from './command.ts';
import { type FactsInput, gatherFacts, openFactsInput } from './gate-facts.ts';
import { type ChangeValues, checkOverride, verdictLines, verdictsOf } from './gated.ts';
import { type Ran, runChange } from './run-change.ts';

export type ChangeKind = 'cutover' | 'rollback';

const sideFor: Readonly<Record<ChangeKind, Side>> = { cutover: 'service', rollback: 'legacy' };

/** docs/cli.md has them in its table. */
const exitCodes: Readonly<Record<End['outcome'] | 'gates' | 'held', number>> = {
  done: 0,
  gates: 3,
  undone: 4,
  unfinished: 5,
  superseded: 6,
  held: 7,
};

const attemptMsMax = 30_000;
const againMs = 500;
/** An opening takes a hop of the stream; a worker that was just started, some seconds. */
const openMsMax = 15_000;

export type ChangeInput = {
  readonly kind: ChangeKind;
  readonly config: BanyanConfig;
  readonly capability: Capability;
  readonly values: ChangeValues;
  readonly output: Output;
};

export async function changeOwner(input: ChangeInput): Promise<Done> {
  const { kind, values, output } = input;
  checkOverride(values, kind);
  const until = performance.now() + values.wait * 1_000;
  const holder = holderNamed(actorOf(values.actor), kind);
  for (;;)
    try {
      return await changeOnce(input, holder, until);
    } catch (error) {
      // Wherever that was: whoever begins goes by the fences, and has nothing to remember.
      if (!isLostConnection(error) && !(error instanceof ServerAwayError)) throw error;
      if (performance.now() >= until) throw error;
      output.progress(`${error.message}; trying again`, true);
      await delay(againMs);
    }
}

/** On connections of its own. @param until may be waited, by performance.now() */
async function changeOnce(input: ChangeInput, holder: string, until: number): Promise<Done> {
  using facts = await openFactsInput(input.config, input.capability, input.values);
  const books = await connectAs('control', 'banyan_cli', input.values);
  try {
    return await new ChangeCommand(input, { facts, books }, holder, until).run();
  } finally {
    books.destroy();
  }
}

class ChangeCommand {
  readonly #input: ChangeInput;
  readonly #to: Side;
  readonly #holder: string;
  readonly #facts: FactsInput;
  /** For the journal and the lease alone: nobody waits behind them. */
  readonly #books: Connection;
  readonly #interrupted = new AbortController();
  readonly #until: number;

  constructor(
    input: ChangeInput,
    { facts, books }: { facts: FactsInput; books: Connection },
    holder: string,
    until: number,
  ) {
    this.#input = input;
    this.#to = sideFor[input.kind];
    this.#holder = holder;
    this.#facts = facts;
    this.#books = books;
    this.#until = until;
  }

  async run(): Promise<Done> {
    const { values, output, capability } = this.#input;
    if (!values.execute) {
      await this.#settled();
      const verdicts = await this.#gates();
      const ok = verdicts.every(({ verdict }) => verdict !== 'fail');
      output.say(
        ok
          ? `every gate is open: --execute does it`
          : `${verdicts.filter(({ verdict }) => verdict === 'fail').length} gates are closed; nothing was changed`,
      );
      return this.#result(ok ? 0 : exitCodes.gates, { executed: false, ok, gates: verdicts });
    }
    const interrupt = () => this.#interrupted.abort();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt);
    try {
      const held = await takeLease(this.#facts.control, {
        capability: capability.name,
        holder: this.#holder,
        mayWait: () => this.#mayWait,
        tell: (line) => output.progress(line, true),
      });
      if (held !== undefined) {
        output.say(held);
        return this.#result(exitCodes.held, { executed: false, ok: false, heldBy: held });
      }
      return await this.#attempts();
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt);
      await leaveLease(this.#facts.control, capability.name, this.#holder).catch(() => undefined); // it ends by itself
    }
  }

  #result(exitCode: number, facts: object): Done {
    const { kind, capability } = this.#input;
    return { exitCode, result: { capability: capability.name, move: kind, to: this.#to, ...facts } };
  }

  get #mayWait(): boolean {
    return performance.now() < this.#until && !this.#interrupted.signal.aborted;
  }

  async #fences(): Promise<Fences> {
    const { name } = this.#input.capability;
    const fences = await readFences(await this.#facts.sessions.both(), name);
    if (!fences) throw new CommandError(`${name} is not installed on both sides: run "banyan install"`);
    return fences;
  }

  /** A change that is closed and not open yet is waited for: nothing can be judged in the middle of it. */
  async #settled(): Promise<Fences> {
    for (const start = performance.now(); ; await delay(againMs / 10)) {
      const fences = await this.#fences();
      if (fences.legacy.epoch === fences.service.epoch || performance.now() - start > openMsMax)
        return fences;
    }
  }

  async #gates(): Promise<Verdict[]> {
    const { kind, capability, values, output } = this.#input;
    const facts = await gatherFacts(this.#facts, kind);
    const verdicts = verdictsOf(kind, capability, facts, values.override);
    for (const line of verdictLines(verdicts)) output.say(line);
    return verdicts;
  }

  async #attempts(): Promise<Done> {
    const { output, capability } = this.#input;
    for (;;) {
      const { change, fences, end, newest } = await this.#begin();
      if (!change) return this.#nothingToDo(end, newest);
      const place = placeOf(change, fences);
      let gates: Verdict[] = [];
      if (place === 'unchanged') {
        gates = await this.#gates();
        if (gates.some(({ verdict }) => verdict === 'fail')) {
          if (this.#mayWait) {
            output.progress('some gates are closed; looking again');
            await delay(againMs * 2);
            continue;
          }
          output.say('some gates are closed; nothing was changed');
          return this.#result(exitCodes.gates, { executed: false, ok: false, gates });
        }
      }
      await pinChange(this.#facts.control, change, this.#holder);
      if (gates.length > 0) await this.#begun(change, gates);
      const ran = await this.#attempt(change, fences);
      await this.#ended(change, ran);
      if (ran.end.outcome === 'undone' && this.#mayWait) {
        output.say(`undone: ${ran.end.reason}. Trying again`);
        await delay(againMs);
        continue;
      }
      output.say(`${ran.end.outcome}: ${ran.end.reason}`);
      if (ran.heldMs !== undefined) output.say(`writes of ${capability.name} were held for ${ran.heldMs} ms`);
      return this.#result(exitCodes[ran.end.outcome], {
        executed: true,
        ok: ran.end.outcome === 'done',
        outcome: ran.end.outcome,
        reason: ran.end.reason,
        epoch: (change.epoch + 1n).toString(),
        heldMs: ran.heldMs ?? null,
        steps: ran.steps,
        gates,
      });
    }
  }

  /** The change that a command before this one left, or a new one, by the fences' word. */
  async #begin(): Promise<{
    change: ChangeOfOwner | undefined;
    fences: Fences;
    end: End | undefined;
    /** The last that was begun before. */
    newest: bigint;
  }> {
    const { name } = this.#input.capability;
    const left = await readChange(this.#facts.control, name);
    const newest = left?.id ?? 0n;
    if (left && left.to === this.#to && (left.outcome === null || left.outcome === 'unfinished')) {
      const fences = await this.#fences();
      // One that nobody can finish any more is over; what the fences say now is a new one.
      if (placeOf(left, fences) !== 'superseded') return { change: left, fences, end: undefined, newest };
    }
    const fences = await this.#settled();
    const id = await newNumber(this.#facts.control, name, null, 'begin');
    const begun = begin({ id, capability: name, to: this.#to }, fences);
    return begun.is === 'change'
      ? { change: begun.change, fences, end: undefined, newest }
      : { change: undefined, fences, end: begun.end, newest };
  }

  /** The owner is the one that is wanted, or nobody can say; a phase that lags behind is brought up to it. */
  async #nothingToDo(end: End | undefined, newest: bigint): Promise<Done> {
    const { output } = this.#input;
    const { outcome, reason } = end ?? { outcome: 'undone', reason: 'there is nothing to do' };
    if (outcome === 'done') await this.#recordPhase(newest, null);
    output.say(`${outcome}: ${reason}`);
    return this.#result(exitCodes[outcome], { executed: false, ok: outcome === 'done', outcome, reason });
  }

  async #attempt(change: ChangeOfOwner, fences: Fences): Promise<Ran> {
    const { config, capability, values, output } = this.#input;
    const checks = await changeChecks({
      config,
      capability,
      values,
      sessions: this.#facts.sessions,
      to: this.#to,
    });
    try {
      if (placeOf(change, fences) === 'unchanged')
        for (const line of await checks.prepare()) output.say(line);
      const hold = await newNumber(this.#facts.control, capability.name, change.id, 'hold-number');
      const turn = await newNumber(this.#facts.control, capability.name, change.id, 'turn-number');
      const journal = new ChangeJournal(this.#books, change, this.#holder);
      try {
        return await runChange(
          {
            capability,
            sessions: this.#facts.sessions,
            facades: this.#facts.facades,
            journal,
            check: checks.beforeClose,
            record: () => this.#recordPhase(change.id, (change.epoch + 1n).toString()),
            tell: ({ step, atMs, event }) =>
              output.say(`${String(atMs).padStart(6)} ms  ${step.padEnd(12)} ${event}`),
            signal: this.#interrupted.signal,
            attemptMsMax,
          },
          change,
          { hold, turn },
          fences,
        );
      } finally {
        await journal.end();
      }
    } finally {
      checks.close();
    }
  }

  /**
   * The phase that the owner means. A newer change begins before it closes: when there is none yet, it records after this.
   * @returns 0 when it was that already
   */
  async #recordPhase(newest: bigint, epoch: string | null): Promise<0 | 1> {
    const { kind, capability, values } = this.#input;
    const to = this.#to === 'service' ? 'owned' : 'reads';
    const from = await standingOf(this.#facts.control, capability.name);
    const isOwned = from.phase === 'owned' || from.phase === 'retired';
    if (isOwned === (to === 'owned')) return 0;
    const of = { id: epoch === null ? null : newest.toString(), epoch };
    await changePhase(this.#facts.control, {
      capability: capability.name,
      from,
      to,
      // The gates are in the audit row of its beginning, under the same number.
      withdraw: ['cutover', 'rollback'],
      evidence: { kind, facts: of },
      during: newest,
      deed: { actor: actorOf(values.actor), action: kind, reason: values.reason, detail: of },
    });
    return 1;
  }

  /** On what evidence: should this command die, the one that finishes the change has no gates of its own. */
  async #begun(change: ChangeOfOwner, gates: readonly Verdict[]): Promise<void> {
    const { kind, capability, values } = this.#input;
    await record(this.#facts.control, capability.name, {
      actor: actorOf(values.actor),
      action: `${kind}-begun`,
      reason: values.reason,
      detail: {
        change: change.id.toString(),
        epoch: change.epoch.toString(),
        override: values.override,
        gates,
      },
    });
  }

  /** In the control store, which has taken every step; when it cannot be reached the fences say it all the same. */
  async #ended(change: ChangeOfOwner, { end, steps, heldMs }: Ran): Promise<void> {
    const { kind, capability, values, output } = this.#input;
    try {
      await endChange(this.#facts.control, change, this.#holder, end.outcome);
      await record(this.#facts.control, capability.name, {
        actor: actorOf(values.actor),
        action: `${kind}-${end.outcome}`,
        reason: values.reason,
        detail: { change: change.id.toString(), reason: end.reason, heldMs, steps },
      });
      if (end.outcome === 'undone' && this.#mayWait)
        await takeChangeLease(this.#facts.control, capability.name, this.#holder);
    } catch (error) {
      output.say(
        `the control store could not be told how it ended: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
