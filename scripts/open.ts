import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { Capability, Side } from '../capability/capability.ts';
import { endChange, readChange } from '../capability/change-store.ts';
import { change as changePhase, readCapability, record } from '../capability/control-store.ts';
import { type FenceRow, openAlone, readFence } from '../capability/fence.ts';
import type { Verdict } from '../capability/gate.ts';
import { ChangeSessions } from './change-sessions.ts';
import {
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  type Done,
  type Output,
  type ServerValues,
  serverUrl,
} from './command.ts';
import { verdictLines } from './gated.ts';
import { lostSide, type Proven, readJournal, readMet, watch } from './open-facts.ts';
import { type Closed, judgeOpen, type OpenFacts } from './open-proofs.ts';

const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');
const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

type OpenValues = ServerValues & {
  readonly execute: boolean;
  readonly turn: number | undefined;
  readonly closeSeen: boolean;
  readonly reason: string | undefined;
  readonly actor: string | undefined;
};

const openMsMax = 15_000;

/** @returns who is in the way, when it could not be done in time */
async function openNow(
  sessions: ChangeSessions,
  { name }: Capability,
  from: Side,
  epoch: bigint,
  turn: bigint,
  output: Output,
): Promise<string | undefined> {
  const to = other(from);
  for (const start = performance.now(); ; await delay(200)) {
    const outcome = await openAlone(await sessions.of(to), { capability: name, owner: from, epoch }, turn);
    if (outcome.is === 'refused') throw new CommandError(`${to} could not be opened: ${outcome.message}`);
    // Lost, or 0 rows: the row says it.
    if (outcome.is === 'lost') sessions.drop(to);
    if (outcome.is !== 'busy') {
      const row = await readFence(await sessions.sql(to), name, 'share');
      if (row?.owner === to && row.epoch === epoch + 1n) return undefined;
      if (outcome.is === 'rows')
        throw new CommandError(
          `${to}'s fence row, or what its stream has met, has changed meanwhile: look again`,
        );
    }
    if (outcome.is === 'busy') {
      const { blocker } = outcome;
      const who = blocker
        ? `session ${blocker.thread} of ${blocker.user} keeps ${to}'s fence row: KILL ${blocker.thread} there (it can have changed nothing), then run this again`
        : `a lock is on ${to}'s fence row: run this again`;
      output.progress(who, true);
      if (performance.now() - start > openMsMax) return who;
    }
  }
}

/** The phase that the new owner means, the change's end, and the audit, in the control store. */
async function writeDown(
  control: Connection,
  name: string,
  to: Side,
  deed: Parameters<typeof record>[2],
): Promise<void> {
  const phase = await readCapability(control, name);
  const wanted = to === 'service' ? 'owned' : 'reads';
  if (
    phase &&
    phase.phase !== wanted &&
    phase.phase !== 'retired' &&
    (to === 'service' || phase.phase === 'owned')
  )
    await changePhase(control, { capability: name, from: phase, to: wanted, deed });
  else await record(control, name, deed);
  const newest = await readChange(control, name);
  if (newest && newest.to === to && newest.outcome !== 'done')
    await endChange(control, newest, newest.holder, 'done');
}

/** Undefined where it cannot be reached: it may be lost with X. */
async function controlStore(values: ServerValues): Promise<{ control: Connection | undefined; why: string }> {
  try {
    return { control: await connectAs('control', 'banyan_cli', values), why: '' };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { control: undefined, why: error.message };
  }
}

function checkWords(values: OpenValues & { readonly sourceLost: boolean }): void {
  const fault = !values.sourceLost
    ? 'a side is opened by the stream; the one reason to do it by hand is --source-lost'
    : (values.turn !== undefined) !== values.closeSeen
      ? '--turn and --close-seen belong together: which turn it was, and that its close answered 1 row'
      : values.closeSeen && !values.reason
        ? '--close-seen needs a --reason: where you have seen it'
        : undefined;
  if (fault !== undefined) throw new CommandError(fault, { exitCode: 2 });
}

class OpenCommand {
  readonly #capability: Capability;
  readonly #values: OpenValues;
  readonly #output: Output;
  readonly #sessions: ChangeSessions;
  readonly #control: Connection | undefined;
  readonly #noControl: string;

  constructor(
    capability: Capability,
    values: OpenValues,
    output: Output,
    sessions: ChangeSessions,
    control: Awaited<ReturnType<typeof controlStore>>,
  ) {
    this.#capability = capability;
    this.#values = values;
    this.#output = output;
    this.#sessions = sessions;
    this.#control = control.control;
    this.#noControl = control.why;
  }

  async run(): Promise<Done> {
    const { name } = this.#capability;
    const { from, answer } = await lostSide(this.#values, name);
    const to = other(from);
    const fence = answer === undefined ? await this.#fenceOf(to) : undefined;
    if (fence?.owner === to) {
      this.#output.say(`${to} is open already, at epoch ${fence.epoch}`);
      return this.#result(from, { executed: false, ok: true, epoch: fence.epoch.toString(), gates: [] });
    }
    const facts = await this.#facts(from, answer, fence ?? (await this.#fenceOf(to)));
    const gates = judgeOpen(facts);
    for (const line of verdictLines(gates)) this.#output.say(line);
    const ok = gates.every(({ verdict }) => verdict === 'pass');
    if (!ok || !this.#values.execute || !facts.closed) {
      this.#output.say(
        ok
          ? `every proof stands: --execute opens ${to}, and there is no way back to ${from}'s server`
          : 'some proofs are missing; nothing was changed',
      );
      return this.#result(from, { executed: false, ok, gates }, ok ? 0 : 3);
    }
    return this.#execute(from, facts.fence.epoch, facts.closed, gates);
  }

  async #fenceOf(side: Side): Promise<FenceRow> {
    const { name } = this.#capability;
    const fence = await readFence(await this.#sessions.sql(side), name, 'none');
    if (!fence) throw new CommandError(`${name} has no fence on ${side}: run "banyan install"`);
    return fence;
  }

  async #facts(from: Side, answered: string | undefined, fence: FenceRow): Promise<OpenFacts> {
    const { name } = this.#capability;
    const sql = await this.#sessions.sql(other(from));
    const proven = await this.#closed(from, fence.epoch);
    const watched =
      answered === undefined
        ? await watch(sql, name, from, proven.closed, this.#values)
        : { answer: answered, hasMoved: false, met: await readMet(sql, name, from), watchedMs: 0 };
    const { host } = serverUrl(serverOf(from), this.#values);
    return { from, at: host, fence, ...watched, ...proven };
  }

  async #closed(from: Side, epoch: bigint): Promise<Proven> {
    const { turn, closeSeen } = this.#values;
    const journal = this.#control
      ? await readJournal(this.#control, this.#capability.name, from, epoch)
      : {
          closed: undefined,
          notClosed: `${this.#noControl}. If you have the output of the cutover, or of the rollback, with "close … 1 row": --turn T --close-seen --reason TEXT`,
        };
    if (journal.closed || !closeSeen || turn === undefined) return journal;
    return { ...journal, closed: { by: 'operator', turn: BigInt(turn) } };
  }

  async #execute(from: Side, epoch: bigint, closed: Closed, gates: readonly Verdict[]): Promise<Done> {
    const { reason } = this.#values;
    const to = other(from);
    const inTheWay = await openNow(this.#sessions, this.#capability, from, epoch, closed.turn, this.#output);
    if (inTheWay !== undefined) {
      this.#output.say(`not opened: ${inTheWay}`);
      return this.#result(from, { executed: false, ok: false, inTheWay, gates }, 4);
    }
    const opened = (epoch + 1n).toString();
    this.#output.say(`${to} owns at epoch ${opened}; facades let go by themselves`);
    const deed = {
      actor: actorOf(this.#values.actor),
      action: 'open',
      reason,
      detail: { lost: from, to, epoch: opened, turn: closed.turn.toString(), closedBy: closed.by, gates },
    };
    const facts = { executed: true, ok: true, epoch: opened, gates };
    if (this.#control) {
      await writeDown(this.#control, this.#capability.name, to, deed);
      return this.#result(from, { ...facts, keep: null });
    }
    const line = JSON.stringify({ at: new Date().toISOString(), capability: this.#capability.name, ...deed });
    this.#output.say(`the control store does not answer, so this is in no audit. Keep this line:\n${line}`);
    return this.#result(from, { ...facts, keep: line });
  }

  #result(from: Side, facts: object, exitCode = 0): Done {
    return { result: { capability: this.#capability.name, lost: from, to: other(from), ...facts }, exitCode };
  }
}

export const openCommand = command({
  name: 'open',
  words: 'CAPABILITY --source-lost [--execute]',
  summary: 'Opens a side by hand, when the side that was closed for it is lost for good.',
  help: `
A change of owner ends with the stream opening the new owner when it reads the close on the old one's server. If that server
is lost between the two nobody takes writes, and nobody ever will. This opens the new owner's row, on its server alone, when it
is proven that everything was there: that server does not answer at all; its newest turn has arrived; and the close of that turn
answered 1 row, by the control store's journal, or by your word (--turn T --close-seen --reason TEXT) when the control store is
lost with it. Without --execute each proof is shown, and nothing is changed.
Never do it for a server that will come back by itself: the stream opens then, by itself, too.`,
  options: {
    ...actingOptions,
    sourceLost: { type: 'flag', help: 'The one reason that there is.' },
    execute: { type: 'flag', help: 'Do it; without it the proofs are looked for, and nothing else.' },
    turn: { type: 'integer', min: 1, help: 'The turn that was closed: "drain … turn T met" in the output.' },
    closeSeen: { type: 'flag', help: 'You have seen "close … 1 row" after that turn.' },
    reason: { type: 'text', help: 'Why, for the audit.' },
  },
  async run({ values, words, output }) {
    const capability = capabilityNamed(await configOf(values), words);
    checkWords(values);
    using sessions = new ChangeSessions((side) => connectAs(serverOf(side), 'banyan_cli', values));
    const control = await controlStore(values);
    try {
      return await new OpenCommand(capability, values, output, sessions, control).run();
    } finally {
      control.control?.destroy();
    }
  },
});
