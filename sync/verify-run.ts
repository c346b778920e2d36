// One verification of one table, from where it was left: part by part, with the rows in doubt settled as it goes.
import type { Row } from '../acl/translator.ts';
import { throttle } from './throttle.ts';
import type { VerifierOptions } from './verify.ts';
import type { Part } from './verify-plan.ts';
import { mend } from './verify-repair.ts';
import { type Found, RowCheck, type Sizes } from './verify-rows.ts';
import {
  type Example,
  type Job,
  type Pass,
  type Progress,
  saveJob,
  shown,
  type TableResult,
} from './verify-store.ts';
import { SumCheck } from './verify-sums.ts';
import { type Difference, type Suspect, settle } from './verify-suspects.ts';

const examplesMax = 20;
/** Rows in doubt; more are settled first. */
const suspectsMax = 500;
const doubtMsMax = 2_000;
const saveMs = 1_000;

type Checks = { readonly byRow: RowCheck; readonly bySums: SumCheck };

export class TableRun {
  readonly #options: VerifierOptions;
  readonly #job: Job;
  readonly #parts: readonly Part[];
  readonly #sizes: readonly Sizes[];
  readonly #signal: AbortSignal;
  readonly #result: TableResult;
  #rows: number;
  #suspects: Suspect[] = [];
  #inDoubtSince = 0;
  /** Of the current chunk. */
  #settlingMs = 0;
  #savedAt = performance.now();
  /** The stream no longer applies, or the signal came. */
  #isOver = false;

  constructor(
    options: VerifierOptions,
    job: Job,
    parts: readonly Part[],
    sizes: readonly Sizes[],
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#job = job;
    this.#parts = parts;
    this.#sizes = sizes;
    this.#signal = signal;
    this.#rows = job.rowsDone;
    this.#result = structuredClone(job.result);
    this.#result.method = parts.every(({ hash }) => hash) ? 'checksum' : 'rows';
  }

  /** @returns whether it is complete, and nothing differs */
  async run(): Promise<boolean> {
    const { progress } = this.#job;
    for (const [at, part] of this.#parts.entries()) {
      if (at < progress.part) continue;
      const from = at === progress.part ? progress : { part: at, pass: undefined, after: undefined };
      const { connections } = this.#options.looking;
      const sizes = this.#sizesOf(at);
      const byRow = new RowCheck(part, connections, sizes);
      const check = { byRow, bySums: new SumCheck(part, connections, sizes, byRow) };
      const passes: readonly Pass[] = part.hash ? ['sums'] : ['there', 'back'];
      for (const pass of passes) {
        if (passes.indexOf(pass) < passes.indexOf(from.pass ?? pass)) continue;
        await this.#pass(check, part, at, pass, pass === from.pass ? from.after : undefined);
        if (this.#isOver) return false;
      }
    }
    const { books, key, position } = this.#options;
    this.#result.position = position();
    await saveJob(
      books,
      key,
      this.#job,
      'complete',
      this.#progressAt(this.#parts.length),
      this.#rows,
      this.#result,
    );
    const { missing, extra, different, unproven } = this.#result;
    return missing + extra + different + unproven === 0;
  }

  #progressAt(part: number, pass?: Pass, after?: Row): Progress {
    return { part, pass, after };
  }

  #sizesOf(part: number): Sizes {
    return this.#sizes[part] ?? { rowsMax: 1, sumRowsMax: 1 };
  }

  async #pass(
    { byRow, bySums }: Checks,
    part: Part,
    at: number,
    pass: Pass,
    from: Row | undefined,
  ): Promise<void> {
    const { looking, throttle: rules } = this.#options;
    let startedAt = performance.now();
    const chunkDone = async (after: Row | undefined) => {
      // Waiting for the stream is no work of the source's.
      const tookMs = performance.now() - startedAt - this.#settlingMs;
      await this.#settle(after === undefined);
      if (after && this.#suspects.length === 0) await this.#save(this.#progressAt(at, pass, after));
      await throttle(looking.connections.source, rules, tookMs, this.#signal);
      this.#isOver ||= this.#signal.aborted || !this.#options.isApplying();
      startedAt = performance.now();
      this.#settlingMs = 0;
    };
    if (pass === 'sums' && part.hash) {
      for (let after = from; !this.#isOver; ) {
        const range = await bySums.rangeAfter(after);
        for await (const found of bySums.compare(part.hash, range)) {
          await this.#take(found);
          if (this.#isOver) return;
        }
        await chunkDone(range.upTo);
        if (!range.upTo) return;
        after = range.upTo;
      }
      return;
    }
    const rest = { after: from, upTo: undefined };
    for await (const found of pass === 'there' ? byRow.there(rest) : byRow.back(rest)) {
      await this.#take(found);
      await chunkDone(found.last);
      if (this.#isOver) return;
    }
    await chunkDone(undefined);
  }

  async #take({ rows, suspects, quarantined, roundTrip, read }: Found): Promise<void> {
    const result = this.#result;
    this.#rows += rows;
    result.readRows += read;
    result.quarantined += quarantined.length;
    result.roundTrip += roundTrip.length;
    for (const example of [...quarantined, ...roundTrip]) this.#keepExample(example);
    if (suspects.length === 0) return;
    if (this.#suspects.length === 0) this.#inDoubtSince = performance.now();
    this.#suspects.push(...suspects);
    await this.#settle(false);
  }

  /** Rows in doubt are settled when there are many, or they have waited, or at the end. */
  async #settle(isEnd: boolean): Promise<void> {
    if (this.#suspects.length === 0) return;
    const isDue =
      isEnd || this.#suspects.length >= suspectsMax || performance.now() - this.#inDoubtSince > doubtMsMax;
    if (!isDue) return;
    const startedAt = performance.now();
    const settled = await settle(this.#suspects, this.#options.looking, this.#signal);
    this.#settlingMs += performance.now() - startedAt;
    if (!settled) {
      this.#isOver = true;
      return;
    }
    this.#suspects = [];
    for (const { part, sourceKey, targetKey } of settled.restless) {
      this.#result.unproven++;
      this.#keepExample({
        class: 'unproven',
        table: part.target.table,
        key: shown(sourceKey ?? targetKey),
        columns: [],
      });
    }
    const left = this.#job.repair ? await this.#mend(settled.differences) : settled.differences;
    for (const difference of left) {
      this.#result[difference.class]++;
      this.#keepExample(this.#exampleOf(difference));
    }
  }

  /** @returns what is different all the same */
  async #mend(differences: readonly Difference[]): Promise<readonly Difference[]> {
    const { looking, rules } = this.#options;
    if (differences.length === 0) return differences;
    for (const [part, some] of Map.groupBy(differences, ({ suspect }) => suspect.part))
      if (!(await mend(part, some, looking, rules, this.#signal))) this.#isOver = true;
    const suspects = differences.map(({ suspect }) => suspect);
    const settled = this.#isOver ? undefined : await settle(suspects, looking, this.#signal);
    if (!settled) {
      this.#isOver = true;
      return [];
    }
    this.#result.repaired += differences.length - settled.differences.length - settled.restless.length;
    this.#result.unproven += settled.restless.length;
    return settled.differences;
  }

  #exampleOf({ class: kind, suspect, columns, expected, actual }: Difference): Example {
    const only = (row: Row | undefined) =>
      row && columns.length > 0 ? Object.fromEntries(columns.map((name) => [name, row[name] ?? null])) : row;
    return {
      class: kind,
      table: suspect.part.target.table,
      key: shown(suspect.targetKey),
      columns,
      ...(this.#job.withValues
        ? { values: { expected: shown(only(expected)), actual: shown(only(actual)) } }
        : {}),
    };
  }

  #keepExample(example: Example): void {
    const { examples } = this.#result;
    if (examples.filter((each) => each.class === example.class).length < examplesMax) examples.push(example);
  }

  async #save(progress: Progress): Promise<void> {
    if (performance.now() - this.#savedAt < saveMs) return;
    this.#savedAt = performance.now();
    const { books, key } = this.#options;
    await saveJob(books, key, this.#job, 'running', progress, this.#rows, this.#result);
  }
}
