// `npm start -- --story`: walks the sample's reviews from the monolith to their service, under traffic, by the commands that a team would
// use; kills the service on the way, so that one sees it heal; and writes down what each gate saw.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onFacade, statusAt } from './facade-admin.ts';
import { childNamed } from './run-folder.ts';
import type { Stack } from './stack.ts';
import {
  addLedgers,
  type Chapter,
  clock,
  ledgerText,
  type Seen,
  type Story,
  storyFaults,
  storyReport,
} from './story-report.ts';
import type { Pace, Traffic } from './traffic.ts';

/** So many that each step of a ramp sees enough of both sides. */
export const storyPace: Pace = { clients: 200, requestsPerSecond: 50, hands: 8 };

const reviews = 'reviews';
const rampWords = ['ramp', reviews, '--steps', '20,50,100', '--every', '6s', '--execute'];
/** A machine that stands still for half a second at the wrong moment makes a step take the reads back. A team tries again. */
const rampsMax = 3;
/** Of a ramp: its reads are back on legacy. */
const takenBack = 4;
const changeWords = ['--execute', '--wait', '30'];
/** A supervisor starts it again each time; more often would make it give up. */
const killsMax = 3;

export type StoryInput = {
  readonly stack: Stack;
  readonly config: string;
  readonly folder: string;
  readonly traffic: Traffic;
  readonly say: (line: string) => void;
};

type Ended = { readonly code: number; readonly said: Record<string, unknown>; readonly stderr: string };

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isRecord) : [];

const seenOf = (verdicts: unknown, prefix = ''): Seen[] =>
  listOf(verdicts).map(({ gate, verdict, evidence }) => ({
    gate: `${prefix}${String(gate)}`,
    verdict: verdict === 'pass' || verdict === 'overridden' ? verdict : 'fail',
    evidence: String(evidence),
  }));

/** Of a change of owner its gates, of a ramp those of each step. */
const gatesOf = (said: Ended['said']): Seen[] => [
  ...seenOf(said.gates),
  ...listOf(said.steps).flatMap(({ percent, verdicts }) => seenOf(verdicts, `${String(percent)} % `)),
];

/** In a sentence, whatever the command. */
function endOf({ code, said, stderr }: Ended): string {
  if (isRecord(said.error)) return String(said.error.message);
  if (typeof said.heldMs === 'number')
    return `${String(said.reason)}; writes were held for ${String(said.heldMs)} ms`;
  if (typeof said.reason === 'string') return said.reason;
  if (typeof said.rows === 'number') return `${said.rows} rows in ${String(said.seconds)} s`;
  return code === 0 ? 'done' : stderr.trim().split('\n').at(-1) || `exit code ${code}`;
}

class Teller {
  readonly #input: StoryInput;
  readonly #beganAt = performance.now();
  readonly chapters: Chapter[] = [];
  healedMs: number | undefined;

  constructor(input: StoryInput) {
    this.#input = input;
  }

  /**
   * Runs a command as a team would in another terminal. What clients saw since the one before counts for it.
   * @param codes how it should end
   * @returns how it did
   */
  async chapter(
    title: string,
    words: readonly string[],
    {
      codes = [0],
      meanwhile,
    }: { codes?: readonly number[]; meanwhile?: (isOver: () => boolean) => Promise<void> } = {},
  ): Promise<number> {
    const { say, traffic } = this.#input;
    const command = `banyan ${words.join(' ')}`;
    const atMs = performance.now() - this.#beganAt;
    say(`${clock(atMs)}  ${title}\n      $ ${command}`);
    let isOver = false;
    const running = this.#run(words).finally(() => {
      isOver = true;
    });
    const [ended] = await Promise.all([running, meanwhile?.(() => isOver)]);
    const tookMs = performance.now() - this.#beganAt - atMs;
    const isAsExpected = codes.includes(ended.code);
    const ledger = traffic.take();
    const gates = gatesOf(ended.said);
    const end = endOf(ended);
    const failed = gates.filter(({ verdict }) => verdict === 'fail');
    say(`      ${isAsExpected ? '' : `NOT AS IT SHOULD (exit code ${ended.code}): `}${end}`);
    for (const { gate, evidence } of failed) say(`      closed: ${gate}: ${evidence}`);
    const open = gates.length - failed.length;
    if (open > 0) say(`      ${open} gates open`);
    say(`      clients: ${ledgerText(ledger)}`);
    this.chapters.push({ title, command, atMs, tookMs, isAsExpected, end, gates, ledger });
    return ended.code;
  }

  /** Kills the service once half of the reads are there, and again when it comes back, until they are not. */
  async breakService(isOver: () => boolean): Promise<void> {
    const { folder, say } = this.#input;
    const isThere = await this.#until(60_000, async () => isOver() || (await this.#served()) === 50);
    if (!isThere || isOver()) return;
    await delay(2_000);
    const began = performance.now();
    let [killed, kills] = [0, 0];
    const isBack = await this.#until(15_000, async () => {
      const pid = childNamed(join(folder, 'run'), reviews);
      // One that has not come up yet would be given up by who starts it.
      if (pid !== undefined && pid !== killed && kills < killsMax && (await this.#isReady())) {
        process.kill(pid, 'SIGKILL');
        say(`      kill -9 ${pid}  (the reviews service)`);
        [killed, kills] = [pid, kills + 1];
      }
      return (await this.#served()) === 0;
    });
    if (!isBack) return;
    this.healedMs = performance.now() - began;
    say(`      every read is legacy's again, ${Math.round(this.healedMs)} ms after the first kill`);
  }

  /** Its supervisor has started it again. */
  async serviceIsBack(): Promise<void> {
    await this.#until(30_000, () => this.#isReady());
  }

  async #isReady(): Promise<boolean> {
    const url = new URL('/readyz', this.#input.stack.services[reviews]);
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    return answer?.ok === true;
  }

  /** The least of what the facades serve of its reads by the service, in percent. */
  async #served(): Promise<number> {
    const { facades, token } = this.#input.stack;
    const all = await Promise.all(facades.map(({ admin }) => statusAt(admin, token)));
    const percents = all.map((status) => onFacade(status, reviews)?.effectivePercent ?? Number.NaN);
    return percents.every((each) => each === percents[0]) ? (percents[0] ?? Number.NaN) : Number.NaN;
  }

  async #until(msMax: number, isSo: () => Promise<boolean>): Promise<boolean> {
    for (const end = performance.now() + msMax; performance.now() < end; await delay(25))
      if (await isSo()) return true;
    return false;
  }

  #run(words: readonly string[]): Promise<Ended> {
    const { folder, config } = this.#input;
    const main = join(import.meta.dirname, 'banyan.ts');
    const { promise, resolve } = Promise.withResolvers<Ended>();
    execFile(
      process.execPath,
      [main, ...words, '--json', '--folder', folder, '--config', config, '--actor', 'the story'],
      { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const said: unknown = stdout.startsWith('{') ? JSON.parse(stdout) : {};
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, said: isRecord(said) ? said : {}, stderr });
      },
    );
    return promise;
  }
}

/** @returns whether all went well; the report is in `report.md` of the folder */
export async function tellStory(input: StoryInput): Promise<boolean> {
  const { folder, say, traffic } = input;
  const teller = new Teller(input);
  say('\nReviews leave the monolith, while 200 clients look at them and some write.\n');
  await teller.chapter('the service gets the rows, and follows', ['backfill', reviews]);
  await teller.chapter('every row is the same on both sides', ['verify', reviews]);
  await teller.chapter('reads are mirrored, and the answers compared', ['shift', reviews, '--shadow', '100']);
  await teller.chapter('the fence records who writes', ['fence', reviews, '--observe', '--execute']);
  for (let ramp = 1; ramp <= rampsMax && teller.healedMs === undefined; ramp++)
    await teller.chapter('reads move step by step; the service is killed on the way', rampWords, {
      codes: [takenBack],
      meanwhile: (isOver) => teller.breakService(isOver),
    });
  await teller.serviceIsBack();
  for (let [ramp, code] = [1, takenBack]; ramp <= rampsMax && code === takenBack; ramp++)
    code = await teller.chapter('the service is back, and the reads move again', rampWords, {
      codes: ramp < rampsMax ? [0, takenBack] : [0],
    });
  await teller.chapter('the side that does not own refuses writes', [
    'fence',
    reviews,
    '--enforce',
    '--execute',
  ]);
  await teller.chapter('the service takes the writes', ['cutover', reviews, ...changeWords]);
  await teller.chapter('what was written there is in the monolith, too', ['verify', reviews]);
  await teller.chapter('second thoughts: the monolith owns again', ['rollback', reviews, ...changeWords]);
  await teller.chapter('nothing was lost on the way back', ['verify', reviews]);
  await teller.chapter('and for good', ['cutover', reviews, ...changeWords]);
  await teller.chapter('both sides, row by row, at the end', ['verify', reviews]);
  await traffic.stop();
  const { chapters, healedMs } = teller;
  const total = addLedgers([...chapters.map(({ ledger }) => ledger), traffic.take()]);
  const story: Story = { chapters, healedMs, total };
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'report.md');
  const report = storyReport(story);
  writeFileSync(file, report);
  const faults = storyFaults(story);
  say(`\n${report}\nThe report is ${file}`);
  for (const fault of faults) say(`NOT WELL: ${fault}`);
  return faults.length === 0;
}
