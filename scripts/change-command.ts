// What `banyan cutover` and `banyan rollback` have in common: the gates, the lease, attempts, and how it is told.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import type { ChangeOfOwner, End, Fences } from '../capability/change-of-owner-place.ts';
import { begin, placeOf } from '../capability/change-of-owner-place.ts';
import {
  endChange,
  leaseSeconds,
  leaveLease,
  newNumber,
  pinChange,
  readChange,
  readLease,
  takeChangeLease,
} from '../capability/change-store.ts';
import { change as changePhase, readCapability, record } from '../capability/control-store.ts';
import { readFences } from '../capability/fence.ts';
import { usualLimits, type Verdict } from '../capability/gate.ts';
import { gateNames, judgeGates } from '../capability/gates.ts';
import type { Declaration, Values } from '../capability/options.ts';
import { changeChecks } from './change-checks.ts';
import { ChangeJournal } from './change-journal.ts';
import {
  actorOf,
  actorOption,
  CommandError,
  commonOptions,
  connectAs,
  isLostConnection,
  type Output,
  ServerAwayError,
  serverOptions,
} from './command.ts';
import { adminOptions } from './facade-admin.ts';
import { type FactsInput, gatherFacts, openFactsInput } from './gate-facts.ts';
import { type Ran, runChange } from './run-change.ts';

export const changeOptions = {
  ...commonOptions,
  ...serverOptions,
  ...actorOption,
  ...adminOptions,
  execute: { type: 'flag', help: 'Do it; without it the gates are looked at, and nothing else.' },
  override: {
    type: 'list',
    help: 'GATE,…: gates that you answer for, by their names; needs --reason, and is in the audit.',
  },
  reason: { type: 'text', help: 'Why, for the audit.' },
  wait: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 86_400,
    help: 'For so many seconds: wait for gates and for another command, and try again what had to be undone.',
  },
} as const satisfies Declaration;

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

type ChangeValues = Values<typeof changeOptions>;

export type ChangeInput = {
  readonly kind: ChangeKind;
  readonly config: BanyanConfig;
  readonly capability: Capability;
  readonly values: ChangeValues;
  readonly output: Output;
};

const describeVerdict = ({ gate, verdict, evidence, ageMs, remedy, mayBeOverridden }: Verdict): string[] => [
  `${verdict === 'pass' ? 'pass' : verdict === 'fail' ? 'FAIL' : 'over'}  ${gate.padEnd(12)} ${evidence}${ageMs === null ? '' : ` (${ageText(ageMs)} old)`}`,
  ...(verdict === 'fail'
    ? [`      ${' '.repeat(12)} do: ${remedy}${mayBeOverridden ? '' : ' (cannot be overridden)'}`]
    : []),
];

export function ageText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

export const verdictLines = (verdicts: readonly Verdict[]): string[] => verdicts.flatMap(describeVerdict);

/** @throws CommandError for words that cannot mean anything */
export function checkOverride(values: ChangeValues, move: Parameters<typeof gateNames>[0]): void {
  const known = gateNames(move);
  const unknown = values.override.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new CommandError(`--override: there is no gate "${unknown[0]}"; there are ${known.join(', ')}`, {
      exitCode: 2,
    });
  if (values.override.length > 0 && !values.reason)
    throw new CommandError('--override needs a --reason: whoever reads the audit will ask', { exitCode: 2 });
}

export type Outcome = { readonly result: object; readonly exitCode: number };

export async function changeOwner(input: ChangeInput): Promise<Outcome> {
  const { kind, values, output } = input;
  checkOverride(values, kind);
  const until = performance.now() + values.wait * 1_000;
  const holder = `${actorOf(values.actor)} (${kind}, ${hostname()}:${process.pid}, ${randomUUID().slice(0, 8)})`;
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
async function changeOnce(input: ChangeInput, holder: string, until: number): Promise<Outcome> {
  using facts = await openFactsInput(input.config, input.capability, input.values);
  const books = await connectAs('control', 'banyan_cli', input.values);
  try {
    return await new ChangeCommand(input, { facts, books }, holder, until).run();
  } finally {
    books.destroy();
  }
}

/** A command of this machine whose process is gone need not be waited for. */
function isDeadHere(holder: string): boolean {
  const [, host, pid] = /, (\S+):(\d+), [0-9a-f]{8}\)$/.exec(holder) ?? [];
  if (host !== hostname() || pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
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

  async run(): Promise<Outcome> {
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
      const held = await this.#takeLease();
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

  #result(exitCode: number, facts: object): Outcome {
    const { kind, capability } = this.#input;
    return { exitCode, result: { capability: capability.name, move: kind, to: this.#to, ...facts } };
  }

  get #mayWait(): boolean {
    return performance.now() < this.#until && !this.#interrupted.signal.aborted;
  }

  /** @returns who holds it, when it could not be had in time */
  async #takeLease(): Promise<string | undefined> {
    const { capability, output } = this.#input;
    let isTold = false;
    for (;;) {
      if (await takeChangeLease(this.#facts.control, capability.name, this.#holder)) return undefined;
      const { holder, msLeft } = (await readLease(this.#facts.control, capability.name)) ?? {
        holder: 'somebody',
        msLeft: 0,
      };
      if (
        isDeadHere(holder) &&
        (await takeChangeLease(this.#facts.control, capability.name, this.#holder, holder))
      )
        return undefined;
      const message = `${holder} is changing the owner of ${capability.name}; it was heard of ${ageText(leaseSeconds * 1_000 - msLeft)} ago`;
      if (!this.#mayWait)
        return `${message}. If it has died, its claim ends in ${Math.ceil(msLeft / 1_000)} s: run this again then, or with --wait 15`;
      if (!isTold) output.progress(`${message}; waiting`, true);
      isTold = true;
      await delay(againMs);
    }
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
    const limits = { ...usualLimits, ...capability.gates };
    const verdicts = judgeGates(kind, capability.name, facts, limits, values.override);
    for (const line of verdictLines(verdicts)) output.say(line);
    return verdicts;
  }

  async #attempts(): Promise<Outcome> {
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
  async #nothingToDo(end: End | undefined, newest: bigint): Promise<Outcome> {
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
    const from = await readCapability(this.#facts.control, capability.name);
    if (!from) throw new CommandError(`${capability.name} is not in the control store: run "banyan install"`);
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
