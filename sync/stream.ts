// One stream: the changes of a capability's tables on one side, applied to the other, exactly once in effect.
//
// Its mode comes from the fence rows in its own source's binlog (CHANGE-OF-OWNER, R2): after a row that names the
// source as owner it applies; after one that names the other it watches, passing over what the other direction
// applied and reporting the rest as tripwires.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import type { Change } from './binlog/change.ts';
import { BinlogError } from './binlog/errors.ts';
import { namesIn } from './binlog/query.ts';
import type { BinlogReader } from './binlog/reader.ts';
import type { RowImage, RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { SyncError, type SyncErrorCode } from './errors.ts';
import {
  type Commit,
  Frame,
  type FrameKey,
  isBusy,
  isDisconnected,
  prepareApplySession,
  readStreamState,
  type StreamState,
  takeBack,
  takeOver,
} from './frame.ts';
import { type TableMapping, withoutAdded } from './mapping.ts';
import { comparePositions, type Position, parsePosition, printPosition } from './position.ts';
import { Quarantine } from './quarantine.ts';
import { applyRow, putRow } from './rows-to-changes.ts';
import { type Statement, StatementBuilder, type WriteRules } from './statements.ts';
import { clearStop, isPassedOver, type Stop } from './stops.ts';
import { Tripwires } from './tripwires.ts';

/** DDL that changes neither a table's rows nor its columns. */
const harmlessDdl =
  /^\s*(optimize|repair|(create|drop)\s+(or\s+replace\s+)?(algorithm\s*=\s*\S+\s+)?(definer\s*=\s*\S+\s+)?(sql\s+security\s+\S+\s+)?(trigger|view|(unique\s+|fulltext\s+|spatial\s+)?index))\b/i;

/** What runs inside the stream at its own watermark: a backfill. */
export type Companion = {
  /** A row of a captured table has passed. */
  passed(mapping: TableMapping, row: RowImage, shape: TableShape): void;
  /** A watermark has passed; what it returns is applied at the position after it. */
  mark(mark: string): Promise<readonly Statement[]> | undefined;
};

/** What gives the changes: a reader of the binlog. */
export type Source = Pick<BinlogReader, 'events' | 'hasQueued' | 'stop'>;

export type StreamOptions = {
  readonly key: FrameKey;
  /** `references`: rows that follow legacy whoever owns the capability. */
  readonly kind: 'tables' | 'references';
  /** The capability whose fence and heartbeats count. */
  readonly capability: string;
  readonly sourceSchema: string;
  readonly mappings: ReadonlyMap<string, readonly TableMapping[]>;
  readonly rules: WriteRules;
  connectTarget(): Promise<Connection>;
  /** `none`: transactions without their rows. */
  openSource(from: Position, rows: 'all' | 'none'): Promise<Source>;
  readonly companion?: Companion;
  /** An acknowledged stop: its event may be passed over. */
  readonly acknowledged?: Stop;
  onCommitted(state: StreamState, rows: number): void;
  /** A heartbeat has passed, and everything before it is applied. */
  onHeartbeat(sourceTime: string): void;
};

/** Each target transaction waits for the disk: in large ones less is waited for. */
const batchCharsMax = 3_000_000;
const batchTransactionsMax = 2_000;
/** Rows that go one by one take their time, and meanwhile the target's locks are held and nothing is committed. */
const batchStatementsMax = 500;
/** What is held of one source transaction until its end, in characters; a larger one is written as it comes. */
const pendingCharsMax = 1_000_000;
const savePositionMs = 1_000;
const turnMsMax = 0.25;
const busyTriesMax = 12;

const other = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

type Transaction = {
  first: boolean;
  /** Applied by the other direction: an echo. */
  marked: boolean;
  /** The state before it: a transaction that is abandoned leaves nothing behind. */
  readonly before: StreamState;
  /** What the builder had been given before it. */
  readonly addedBefore: number;
  rows: number;
  heartbeats: string[];
  /** It has the close row that names the other side, which opens. */
  open?: { owner: Side; epoch: bigint };
  /** Too large to hold: it is being written in a frame that stays open. */
  frame?: Frame;
};

export class Stream {
  readonly #options: StreamOptions;
  readonly #builder: StatementBuilder;
  readonly #tripwires: Tripwires;
  #sql!: Connection;
  /** Its id on the target. */
  #session = 0;
  #quarantine!: Quarantine;
  /** As it stands on the target. */
  #committed!: StreamState;
  /** As read; becomes the target's with the next commit. */
  #state!: StreamState;
  /** Until when, by the source's clock in Unix seconds, the newest turn is in force. */
  #turnUntil = 0;
  #heartbeats: string[] = [];
  #transactions = 0;
  #rows = 0;
  readonly #ofShape = new WeakMap<TableShape, readonly TableMapping[]>();
  /** Between transactions undefined. */
  #tx: Transaction | undefined;
  #inFlight: Promise<void> = Promise.resolve();
  #failure: unknown;
  #savedAt = 0;
  #acknowledged: Stop | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#builder = new StatementBuilder(options.rules);
    this.#tripwires = new Tripwires(options.key);
    this.#acknowledged = options.acknowledged;
  }

  get quarantine(): Quarantine {
    return this.#quarantine;
  }

  /**
   * Runs until the signal, or a failure.
   * @throws SyncError for what somebody must mend; other errors may pass by themselves
   */
  async run(signal: AbortSignal): Promise<void> {
    const { key } = this.#options;
    this.#sql = await this.#connect();
    try {
      this.#session = await takeOver(this.#sql, key);
      this.#committed = await readStreamState(this.#sql, key);
      this.#state = this.#committed;
      this.#quarantine = await Quarantine.load(this.#sql, key);
      this.#options.onCommitted(this.#committed, 0);
      while (!signal.aborted)
        try {
          await this.#read('all', signal, (source) => this.#consume(source));
        } catch (error) {
          await this.#saveBefore();
          if (!this.#mayPassOver(error)) throw error;
          await this.#read('none', signal, ({ events }) => this.#passOver(events));
        }
      await this.#flush();
      await this.#settle();
    } finally {
      await this.#inFlight;
      this.#sql.destroy();
    }
  }

  /** From where the target is, until the signal. */
  async #read(
    rows: 'all' | 'none',
    signal: AbortSignal,
    use: (source: Source) => Promise<void>,
  ): Promise<void> {
    const reader = await this.#options.openSource(this.#state.position, rows);
    const stop = () => void reader.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      if (!signal.aborted) await use(reader);
    } finally {
      signal.removeEventListener('abort', stop);
      await reader.stop();
    }
  }

  /** What is whole goes out, and the target is then exactly before what the stream stops at. */
  async #saveBefore(): Promise<void> {
    const tx = this.#tx;
    if (tx) await this.#forget(tx, undefined);
    await this.#flush();
    await this.#settle();
    if (this.#isMoved() || this.#tripwires.size > 0) await this.#commitBatch(this.#tripwires.take(), 0);
  }

  #isMoved(): boolean {
    return printPosition(this.#state.position) !== printPosition(this.#committed.position);
  }

  /** Rows that do not say enough: in watch mode they are a tripwire; else somebody must have seen to them. */
  #mayPassOver(error: unknown): boolean {
    if (!(error instanceof BinlogError) || error.code !== 'row-image-incomplete') return false;
    return !this.#isApplying() || this.#isAcknowledged('incomplete-image');
  }

  /** One transaction, without its rows. */
  async #passOver(events: AsyncIterable<Change>): Promise<void> {
    for await (const change of events) {
      if (change.kind === 'begin') continue;
      if ('position' in change) this.#state = { ...this.#state, position: change.position };
      if (change.kind !== 'commit') continue;
      if (this.#isWatching()) this.#trip('rows without all of their columns', 1);
      return this.#saveBefore();
    }
  }

  async #connect(): Promise<Connection> {
    const sql = await this.#options.connectTarget();
    await prepareApplySession(sql);
    return sql;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #consume(source: Source): Promise<void> {
    const iterator = source.events[Symbol.asyncIterator]();
    let next = iterator.next();
    let turnedAt = performance.now();
    for (;;) {
      // While events are at hand transactions are gathered; when there are none what is gathered goes out. Now and
      // then everybody else has a turn: the target's answers, and the source's bytes.
      if (!source.hasQueued() || performance.now() - turnedAt > turnMsMax) {
        let arrived = false;
        const mark = () => {
          arrived = true;
        };
        next.then(mark, mark);
        await nextTurn();
        if (!arrived) {
          await this.#flush();
          while (!arrived && !(await settledWithin(next, savePositionMs))) await this.#idle();
        }
        turnedAt = performance.now();
      }
      this.#throwFailure();
      const { done, value } = await next;
      if (done) return;
      next = iterator.next();
      next.catch(() => undefined); // when what comes first fails nobody waits for it
      await this.#handle(value);
      if (
        this.#builder.chars > batchCharsMax ||
        this.#builder.statements > batchStatementsMax ||
        this.#transactions >= batchTransactionsMax
      )
        await this.#flush();
      else if (this.#transactions === 0 && performance.now() - this.#savedAt > savePositionMs)
        await this.#idle();
    }
  }

  async #handle(change: Change): Promise<void> {
    switch (change.kind) {
      case 'begin':
        this.#builder.begin();
        this.#tx = {
          first: true,
          marked: false,
          before: this.#state,
          addedBefore: this.#builder.added,
          rows: 0,
          heartbeats: [],
        };
        return;
      case 'rows':
        return this.#handleRows(this.#current(), change);
      case 'statement':
        return this.#handleStatement(this.#current(), change);
      case 'commit':
        return this.#handleCommit(this.#current(), change.position);
      case 'rollback':
      case 'abandon':
        return this.#forget(this.#current(), change.kind === 'rollback' ? change.position : undefined);
      case 'heartbeat':
        this.#state = { ...this.#state, position: change.position };
    }
  }

  #current(): Transaction {
    if (!this.#tx) throw new Error('the reader gave a change outside of a transaction');
    return this.#tx;
  }

  /** The source took it back, or will send it again. */
  async #forget(tx: Transaction, position: Position | undefined): Promise<void> {
    await tx.frame?.rollback();
    this.#tx = undefined;
    this.#builder.forget();
    this.#state = position ? { ...tx.before, position } : tx.before;
    // What it put into quarantine, or took out, has not happened.
    await this.#flush();
    await this.#settle();
    this.#quarantine = await Quarantine.load(this.#sql, this.#options.key);
  }

  async #handleRows(tx: Transaction, change: Extract<Change, { kind: 'rows' }>): Promise<void> {
    const { table } = change;
    if (table.schema === 'banyan') return this.#handleOwn(tx, table, change.rows);
    tx.first = false;
    const mappings =
      table.schema === this.#options.sourceSchema ? this.#options.mappings.get(table.table) : undefined;
    if (!mappings || tx.marked) return;
    const { rows } = change;
    if (!this.#isApplying()) {
      if (this.#isWatching()) this.#trip(`rows of ${table.table}`, rows.length);
      return;
    }
    const companion = this.#options.companion;
    for (const mapping of this.#mappingsOf(table, mappings))
      for (const images of rows) {
        applyRow(table, mapping, images, this.#quarantine, this.#builder);
        if (companion && images.before) companion.passed(mapping, images.before, table);
        if (companion && images.after) companion.passed(mapping, images.after, table);
      }
    tx.rows += rows.length;
    if (this.#builder.charsUnderWay >= pendingCharsMax) await this.#writeLarge(tx);
  }

  #mappingsOf(table: TableShape, mappings: readonly TableMapping[]): readonly TableMapping[] {
    let ofShape = this.#ofShape.get(table);
    if (!ofShape) {
      const columns = new Set(table.columns.map(({ name }) => name));
      ofShape = mappings.map((mapping) => withoutAdded(mapping, (column) => columns.has(column)));
      this.#ofShape.set(table, ofShape);
    }
    return ofShape;
  }

  #trip(what: string, count: number): void {
    this.#tripwires.see(what, count, printPosition(this.#state.position));
  }

  /** Rows of Banyan's own tables: the marker, fences, heartbeats, watermarks. */
  async #handleOwn(tx: Transaction, table: TableShape, rows: readonly RowImages[]): Promise<void> {
    const { key, capability, kind, companion } = this.#options;
    const named = (image: RowImage, name: string) =>
      image[table.columns.findIndex((column) => column.name === name)] ?? null;
    for (const { after } of rows) {
      if (!after) continue;
      const of = named(after, 'capability');
      if (
        table.table === 'banyan_stream' &&
        tx.first &&
        of === capability &&
        named(after, 'source') === other(key.source)
      )
        tx.marked = true;
      if (table.table === 'banyan_heartbeat' && of === capability) {
        const at = String(named(after, 'at'));
        this.#state = { ...this.#state, sourceTime: at };
        tx.heartbeats.push(at);
      }
      if (table.table === 'banyan_fence' && of === capability && kind === 'tables') {
        const turn = named(after, 'turn_id');
        const owner = named(after, 'owner') === 'legacy' ? 'legacy' : 'service';
        await this.#handleFence(
          tx,
          owner,
          BigInt(String(named(after, 'epoch'))),
          turn === null ? null : BigInt(String(turn)),
        );
        this.#turnUntil = turn === null ? 0 : Number(named(after, 'turn_deadline') ?? 0);
      }
      if (table.table === 'banyan_watermark' && of === key.capability) {
        const chunk = this.#isApplying() ? companion?.mark(String(named(after, 'mark'))) : undefined;
        for (const statement of (await chunk) ?? []) this.#builder.addStatement(statement);
      }
    }
    tx.first = false;
  }

  async #handleFence(tx: Transaction, owner: Side, epoch: bigint, turn: bigint | null): Promise<void> {
    const { source } = this.#options.key;
    if (this.#state.owner === source && owner !== source) {
      // What came before belongs to the old epoch; the close row is alone in its target transaction.
      await this.#flush();
      await this.#settle();
      tx.open = { owner, epoch };
    }
    this.#state = { ...this.#state, owner, epoch, turn: turn ?? this.#state.turn };
  }

  #isApplying(): boolean {
    return this.#options.kind === 'references' || this.#state.owner === this.#options.key.source;
  }

  #isWatching(): boolean {
    return this.#options.kind === 'tables' && this.#state.owner === other(this.#options.key.source);
  }

  async #handleStatement(
    tx: Transaction,
    { class: kind, sql, schema, timestamp }: Extract<Change, { kind: 'statement' }>,
  ): Promise<void> {
    if ((kind !== 'ddl' && kind !== 'dml') || tx.marked || harmlessDdl.test(sql)) return;
    const { sourceSchema, mappings, key } = this.#options;
    const names = namesIn(sql);
    if (schema !== sourceSchema && !names.has(sourceSchema.toLowerCase())) return;
    const isOfSchema = /^\s*drop\s+(database|schema)\b/i.test(sql);
    const table = isOfSchema ? '*' : [...mappings.keys()].find((name) => names.has(name.toLowerCase()));
    if (table === undefined) return;
    // While a turn is in force the stream must reach the close row: DDL is a tripwire there.
    if (!this.#isApplying() || (kind === 'ddl' && timestamp <= this.#turnUntil)) {
      if (this.#isApplying() || this.#isWatching()) this.#trip(`${kind} of ${table}`, 1);
      return;
    }
    const position = printPosition(this.#state.position);
    const code = kind === 'ddl' ? 'ddl' : 'statement-dml';
    if (this.#isAcknowledged(code)) return;
    const words = sql.trim().split(/\s+/).slice(0, 3).join(' ');
    throw new SyncError(
      code,
      `${sourceSchema}.${table} on ${key.source}: "${words} …" after ${position}`,
      kind === 'ddl'
        ? 'make the target what the statement made the source (with sql_log_bin=0: it is no tripwire then), then acknowledge: the statement is passed over'
        : 'set binlog_format=ROW for every session; repeat the change on the target by hand, then acknowledge: the statement is passed over',
    );
  }

  /** Somebody has seen to what is stopped at here. */
  #isAcknowledged(code: SyncErrorCode): boolean {
    const stop = this.#acknowledged;
    return (
      stop?.code === code &&
      isPassedOver(code) &&
      comparePositions(parsePosition(stop.position), this.#state.position) === 'equal'
    );
  }

  #isPast(position: Position): boolean {
    const stop = this.#acknowledged;
    return stop !== undefined && comparePositions(parsePosition(stop.position), position) !== 'equal';
  }

  /** An acknowledged stop is kept until the target is past it: whoever goes on may pass it, too. */
  #passedStop(): Statement[] {
    return this.#isPast(this.#state.position) ? [clearStop(this.#options.key)] : [];
  }

  async #handleCommit(tx: Transaction, position: Position): Promise<void> {
    this.#tx = undefined;
    this.#state = { ...this.#state, position };
    this.#heartbeats.push(...tx.heartbeats);
    if (tx.open) {
      await this.#settle();
      await this.#commitBatch([], 0, { ...tx.open, before: tx.before });
    } else if (tx.frame) await this.#finishLarge(tx, tx.frame);
    else if (this.#builder.added > tx.addedBefore) {
      this.#rows += tx.rows;
      this.#transactions++;
    }
    if (this.#transactions === 0) this.#passHeartbeats();
  }

  /** Heartbeats count once everything before them is on the target. */
  #passHeartbeats(): void {
    if (this.#heartbeats.length === 0) return;
    const passed = this.#heartbeats.splice(0);
    this.#inFlight = this.#inFlight.then(() => {
      if (this.#failure === undefined) for (const at of passed) this.#options.onHeartbeat(at);
    });
  }

  /** Nothing is to be applied: the position moves on all the same, at most once a second. */
  async #idle(): Promise<void> {
    if (this.#tx || this.#transactions > 0) return;
    await this.#settle();
    const retried = this.#quarantine.size > 0 && this.#isApplying() ? await this.#retryQuarantined() : [];
    this.#savedAt = performance.now();
    if (this.#isMoved() || this.#tripwires.size > 0 || retried.length > 0)
      await this.#commitBatch([...retried, ...this.#tripwires.take()], retried.length);
  }

  /** Rows in quarantine that somebody asked to have translated again. */
  async #retryQuarantined(): Promise<Statement[]> {
    for (const { table, row } of await this.#quarantine.toRetry(this.#sql))
      for (const mapping of this.#options.mappings.get(table) ?? [])
        putRow(mapping, row, this.#quarantine, this.#builder);
    return this.#builder.take();
  }

  async #settle(): Promise<void> {
    await this.#inFlight;
    this.#throwFailure();
  }

  /** Sends what whole transactions have gathered; the next are gathered meanwhile. */
  async #flush(): Promise<void> {
    await this.#settle();
    if (this.#transactions === 0) return;
    const whole = this.#tx ? this.#builder.takeWhole() : this.#builder.take();
    const statements = [...whole, ...this.#tripwires.take()];
    const heartbeats = this.#heartbeats.splice(0);
    const rows = this.#rows;
    this.#transactions = 0;
    this.#rows = 0;
    this.#inFlight = this.#commitBatch(statements, rows).then(
      () => {
        for (const at of heartbeats) this.#options.onHeartbeat(at);
      },
      (error: unknown) => {
        this.#failure = error;
      },
    );
  }

  /** Writes what there is of a large transaction into a frame that stays open until its end. */
  async #writeLarge(tx: Transaction): Promise<void> {
    if (!tx.frame) {
      await this.#flush();
      await this.#settle();
      const frame = new Frame(this.#sql, this.#options.key);
      // The position after it is not known yet: it is set in the same transaction, at the end.
      await frame.begin(this.#committed, {
        check: this.#check(this.#state),
        state: { ...this.#committed, seq: this.#committed.seq + 1n },
      });
      tx.frame = frame;
    }
    const statements = this.#builder.take();
    await tx.frame.write(statements);
    // They are not sent again: a failure begins the whole transaction anew.
    for (const { load } of statements) load?.release();
  }

  async #finishLarge(tx: Transaction, frame: Frame): Promise<void> {
    await this.#writeLarge(tx);
    const state = { ...this.#state, seq: this.#committed.seq + 1n };
    await frame.write(this.#passedStop());
    await frame.finish(state);
    await frame.commit();
    this.#landed(state, tx.rows);
  }

  /** What the target's fence must say for rows that the stream has read in this state. */
  #check({ owner, epoch }: StreamState): Commit['check'] {
    return this.#options.kind === 'tables' && owner === this.#options.key.source ? { epoch } : 'position';
  }

  #landed(state: StreamState, rows: number, statements: readonly Statement[] = []): void {
    this.#committed = state;
    this.#savedAt = performance.now();
    if (this.#isPast(state.position)) this.#acknowledged = undefined;
    for (const { landed, load } of statements) {
      landed?.();
      load?.release();
    }
    this.#options.onCommitted(state, rows);
  }

  /** One target transaction; tried again when its locks were in the way or its connection was lost. */
  async #commitBatch(
    statements: readonly Statement[],
    rows: number,
    open?: { owner: Side; epoch: bigint; before: StreamState },
  ): Promise<void> {
    const before = this.#committed;
    // A transaction that has not ended has moved nothing yet.
    const state = { ...(this.#tx?.before ?? this.#state), seq: before.seq + 1n };
    const all = [...statements, ...this.#passedStop()];
    // An opening belongs to the epoch that it ends.
    const check = statements.length > 0 || open ? this.#check(open?.before ?? state) : 'position';
    for (let tries = 1; ; tries++) {
      const frame = new Frame(this.#sql, this.#options.key);
      try {
        await frame.begin(before, { check, state, ...(open ? { open } : {}) });
        await frame.write(all);
        if (open) await frame.open(open);
        await frame.commit();
        return this.#landed(state, rows, statements);
      } catch (error) {
        if (isDisconnected(error)) {
          if (await this.#reconnectedAfter(state)) return this.#landed(state, rows, statements);
        } else {
          await frame.rollback();
          if (!isBusy(error)) throw error;
        }
        if (tries >= busyTriesMax)
          throw new SyncError(
            'target-busy',
            `the target could not be written in ${tries} tries`,
            'look for sessions that hold locks on it; the stream goes on by itself',
            error,
          );
        await new Promise((resolve) => setTimeout(resolve, Math.min(1_000, 20 * 2 ** tries)));
      }
    }
  }

  /** The answer to a COMMIT may be lost: the row says whether it happened. @returns whether it did */
  async #reconnectedAfter(state: StreamState): Promise<boolean> {
    const { key } = this.#options;
    this.#sql.destroy();
    this.#sql = await this.#connect();
    this.#session = await takeBack(this.#sql, key, this.#session);
    const { seq, position } = await readStreamState(this.#sql, key);
    return seq === state.seq && printPosition(position) === printPosition(state.position);
  }
}

async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
