// One stream: the changes of a capability's tables on one side, applied to the other, exactly once in effect.
//
// Its mode comes from the fence rows in its own source's binlog (CHANGE-OF-OWNER, R2): after a row that names the
// source as owner it applies; after one that names the other it watches, passing over what the other direction
// applied and reporting the rest as tripwires.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { Blocker } from '../capability/blockers.ts';
import { readFence } from '../capability/fence.ts';
import { type TracedWrite, tracedMax } from './apply-span.ts';
import type { Change, CommitChange } from './binlog/change.ts';
import { BinlogError } from './binlog/errors.ts';
import type { BinlogReader } from './binlog/reader.ts';
import type { RowChange as RowImages } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';
import { concernedTable } from './ddl.ts';
import { SyncError } from './errors.ts';
import type { Commit, FrameKey, StreamState } from './frame.ts';
import { type TableMapping, withoutAdded } from './mapping.ts';
import { afterFence, checkOf, isMarker, type Mode, modeOf, type Opening, treatmentOf } from './mode.ts';
import { type OwnRow, readOwnRow } from './own-rows.ts';
import { type Position, printPosition } from './position.ts';
import { Quarantine } from './quarantine.ts';
import { applyRows, putRow } from './rows-to-changes.ts';
import { StatementBuilder } from './statement-builder.ts';
import type { Statement, WriteRules } from './statements.ts';
import { Acknowledged, type Stop } from './stops.ts';
import { type OpenTransaction, Target } from './target.ts';
import { Tripwires } from './tripwires.ts';

/** What runs inside the stream at its own watermark: a backfill. */
export type Companion = {
  /** Rows of a captured table have passed: each as it was, as it is, or both. */
  passed(mapping: TableMapping, rows: readonly RowImages[], shape: TableShape): void;
  /** A watermark has passed; what it returns is applied at the position after it. */
  mark(mark: string): Promise<readonly Statement[]> | undefined;
  /** One has passed while the stream did not apply: nothing comes of it. */
  missed?(mark: string): void;
  /** A turn of the source has passed: a change of owner waits for what is to be proven before its close. */
  turned?(turn: bigint): void;
  /** The target owns from here on. */
  handedOver?(): void;
};

/** What gives the changes: a reader of the binlog. */
export type Source = Pick<BinlogReader, 'events' | 'hasQueued' | 'server' | 'stop'>;

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
  /**
   * `none`: transactions without their rows.
   * @param server the one that was read up to there; null before the first commit
   */
  openSource(from: Position, rows: 'all' | 'none', server: string | null): Promise<Source>;
  readonly companion?: Companion;
  /** An acknowledged stop: its event may be passed over. */
  readonly acknowledged?: Stop;
  onCommitted(state: StreamState, rows: number): void;
  /** A heartbeat has passed, and everything before it is applied. */
  onHeartbeat(sourceTime: string): void;
  /** So many writes were seen on the side that is not owner. */
  onTripwire?(count: number): void;
  /** A write of a sampled trace is on the target; without it, or a source that gives no traces, nobody looks. */
  onTraced?(write: TracedWrite): void;
  /** A session in the way of the opening was ended, or could not be; undefined: it could not be asked which is. */
  onInTheWay(blocker: Blocker | undefined, failure: unknown): void;
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

const none: readonly TracedWrite[] = [];

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
  readonly sourceSeconds: number;
  /** It has the close row that names the other side, which opens. */
  open?: Opening;
  /** A turn: somebody waits until the target says that it has been met. */
  turn?: bigint;
  /** Too large to hold: it is being written in a target transaction that stays open. */
  large?: OpenTransaction;
};

export class Stream {
  readonly #options: StreamOptions;
  readonly #builder: StatementBuilder;
  readonly #tripwires: Tripwires;
  readonly #acknowledged: Acknowledged;
  #target!: Target;
  #quarantine!: Quarantine;
  /** As read; becomes the target's with the next commit. */
  #state!: StreamState;
  /** Until when, by the source's clock in Unix seconds, the newest turn is in force. */
  #turnUntil = 0;
  /** Of whole transactions that have not gone out. */
  #heartbeats: string[] = [];
  readonly #traced: TracedWrite[] = [];
  #transactions = 0;
  #rows = 0;
  readonly #ofShape = new WeakMap<TableShape, readonly TableMapping[]>();
  /** Between transactions undefined. */
  #tx: Transaction | undefined;
  #savedAt = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#builder = new StatementBuilder(options.rules);
    this.#tripwires = new Tripwires(options.key);
    this.#acknowledged = new Acknowledged(options.key, options.acknowledged);
  }

  /** Known with the first `onCommitted`. */
  get quarantine(): Quarantine {
    return this.#quarantine;
  }

  /**
   * Runs until the signal, or a failure.
   * @throws SyncError for what somebody must mend; other errors may pass by themselves
   */
  async run(signal: AbortSignal): Promise<void> {
    const { key, connectTarget, onCommitted, onInTheWay } = this.#options;
    this.#target = await Target.open({
      key,
      connect: connectTarget,
      onLanded: (state, rows) => {
        this.#acknowledged.landed(state.position);
        onCommitted(state, rows);
      },
      onInTheWay,
    });
    try {
      this.#state = this.#target.committed;
      this.#quarantine = await Quarantine.load(this.#target.sql, key);
      onCommitted(this.#state, 0);
      while (!signal.aborted)
        try {
          await this.#read('all', signal, (source) => this.#consume(source));
        } catch (error) {
          await this.#saveBefore();
          if (!this.#mayPassOver(error)) throw error;
          await this.#read('none', signal, ({ events }) => this.#passOver(events));
        }
      await this.#flush();
      await this.#target.settle();
    } finally {
      await this.#target.close();
    }
  }

  /** From where the target is, until the signal. */
  async #read(
    rows: 'all' | 'none',
    signal: AbortSignal,
    use: (source: Source) => Promise<void>,
  ): Promise<void> {
    const { position, sourceServer } = this.#state;
    const reader = await this.#options.openSource(position, rows, sourceServer);
    this.#state = { ...this.#state, sourceServer: reader.server };
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
    await this.#target.settle();
    if (this.#isMoved() || this.#tripwires.size > 0) await this.#commit(this.#tripwires.take(), 0);
  }

  #isMoved(): boolean {
    const { position, sourceServer } = this.#target.committed;
    return (
      printPosition(this.#state.position) !== printPosition(position) ||
      this.#state.sourceServer !== sourceServer
    );
  }

  /** Rows that do not say enough: in watch mode they are a tripwire; else somebody must have seen to them. */
  #mayPassOver(error: unknown): boolean {
    if (!(error instanceof BinlogError) || error.code !== 'row-image-incomplete') return false;
    return this.#mode !== 'apply' || this.#acknowledged.isFor('incomplete-image', this.#state.position);
  }

  /** One transaction, without its rows. */
  async #passOver(events: AsyncIterable<Change>): Promise<void> {
    for await (const change of events) {
      if (change.kind === 'begin') continue;
      if ('position' in change) this.#state = { ...this.#state, position: change.position };
      if (change.kind !== 'commit') continue;
      if (this.#mode === 'watch') this.#trip('rows without all of their columns', 1);
      return this.#saveBefore();
    }
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
      this.#target.throwFailure();
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
      else if (
        this.#transactions === 0 &&
        performance.now() - Math.max(this.#savedAt, this.#target.landedAt) > savePositionMs
      )
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
          sourceSeconds: change.timestamp,
        };
        return;
      case 'rows':
        return this.#handleRows(this.#current(), change);
      case 'statement':
        return this.#handleStatement(this.#current(), change);
      case 'commit':
        return this.#handleCommit(this.#current(), change);
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
    await tx.large?.rollback();
    this.#tx = undefined;
    this.#builder.forget();
    this.#state = position ? { ...tx.before, position } : tx.before;
    // What it put into quarantine, or took out, has not happened.
    await this.#flush();
    await this.#target.settle();
    this.#quarantine = await Quarantine.load(this.#target.sql, this.#options.key);
  }

  async #handleRows(tx: Transaction, change: Extract<Change, { kind: 'rows' }>): Promise<void> {
    const { table } = change;
    if (table.schema === 'banyan') return this.#handleOwn(tx, table, change.rows);
    tx.first = false;
    const mappings =
      table.schema === this.#options.sourceSchema ? this.#options.mappings.get(table.table) : undefined;
    const treatment = treatmentOf(this.#mode, tx.marked);
    if (!mappings || treatment === 'pass') return;
    const { rows } = change;
    if (treatment === 'trip') return this.#trip(`rows of ${table.table}`, rows.length);
    const companion = this.#options.companion;
    for (const mapping of this.#mappingsOf(table, mappings)) {
      applyRows(table, mapping, rows, this.#quarantine, this.#builder);
      companion?.passed(mapping, rows, table);
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
    this.#options.onTripwire?.(count);
  }

  async #handleOwn(tx: Transaction, table: TableShape, rows: readonly RowImages[]): Promise<void> {
    for (const { after } of rows) {
      const row = after && readOwnRow(table, after);
      if (row) await this.#handleOwnRow(tx, row);
    }
    tx.first = false;
  }

  async #handleOwnRow(tx: Transaction, row: OwnRow): Promise<void> {
    const { key, capability, kind, companion } = this.#options;
    // Watermarks are of one stream; what else there is concerns all streams of a capability.
    if (row.capability !== (row.kind === 'watermark' ? key.capability : capability)) return;
    switch (row.kind) {
      case 'stream':
        if (isMarker(key.source, { source: row.source, isFirst: tx.first })) tx.marked = true;
        return;
      case 'heartbeat':
        this.#state = { ...this.#state, sourceTime: row.at };
        tx.heartbeats.push(row.at);
        return;
      case 'fence':
        if (kind === 'tables') await this.#handleFence(tx, row);
        return;
      case 'watermark': {
        if (this.#mode !== 'apply') return companion?.missed?.(row.mark);
        for (const statement of (await companion?.mark(row.mark)) ?? [])
          this.#builder.addStatement(statement);
      }
    }
  }

  async #handleFence(tx: Transaction, row: Extract<OwnRow, { kind: 'fence' }>): Promise<void> {
    const { known, opens } = afterFence(this.#options.key.source, this.#state, row);
    if (opens) {
      // What came before belongs to the old epoch; the close row is alone in its target transaction.
      await this.#flush();
      await this.#target.settle();
      tx.open = opens;
    }
    if (row.turn !== null) tx.turn = row.turn;
    this.#state = { ...this.#state, ...known };
    this.#turnUntil = row.deadline;
  }

  get #mode(): Mode {
    return modeOf(this.#options.kind, this.#options.key.source, this.#state);
  }

  async #handleStatement(
    tx: Transaction,
    { class: kind, sql, schema, timestamp }: Extract<Change, { kind: 'statement' }>,
  ): Promise<void> {
    if (kind !== 'ddl' && kind !== 'dml') return;
    const { sourceSchema, mappings, key } = this.#options;
    const table = concernedTable(sql, schema, sourceSchema, mappings.keys());
    if (table === undefined) return;
    // While a turn is in force the stream must reach the close row: DDL is a tripwire there.
    const treatment = treatmentOf(this.#mode, tx.marked);
    if (treatment === 'pass') return;
    if (treatment === 'trip' || (kind === 'ddl' && timestamp <= this.#turnUntil))
      return this.#trip(`${kind} of ${table}`, 1);
    const position = printPosition(this.#state.position);
    const code = kind === 'ddl' ? 'ddl' : 'statement-dml';
    if (this.#acknowledged.isFor(code, this.#state.position)) return;
    const words = publicWords(sql);
    throw new SyncError(
      code,
      `${sourceSchema}.${table} on ${key.source}: "${words} …" after ${position}`,
      kind === 'ddl'
        ? 'make the target what the statement made the source (with sql_log_bin=0: it is no tripwire then), then acknowledge: the statement is passed over'
        : 'set binlog_format=ROW for every session; repeat the change on the target by hand, then acknowledge: the statement is passed over',
    );
  }

  async #handleCommit(tx: Transaction, { position, trace }: CommitChange): Promise<void> {
    this.#tx = undefined;
    this.#state = { ...this.#state, position };
    if (trace?.isSampled && tx.rows > 0 && this.#traced.length < tracedMax)
      this.#traced.push({
        trace,
        rows: tx.rows,
        readAt: performance.now(),
        sourceSeconds: tx.sourceSeconds,
      });
    try {
      if (tx.open) await this.#open(tx.open, tx.before);
      else if (tx.large) await this.#finishLarge(tx, tx.large);
      else if (this.#builder.added > tx.addedBefore) {
        this.#rows += tx.rows;
        this.#transactions++;
      }
    } catch (error) {
      this.#tx = tx; // it has not ended: it is taken back like any other
      throw error;
    }
    this.#heartbeats.push(...tx.heartbeats);
    if (tx.turn !== undefined) await this.#saveTurn(tx.turn);
    if (this.#transactions === 0) this.#passHeartbeats();
  }

  async #open(open: Opening, before: StreamState): Promise<void> {
    await this.#target.settle();
    try {
      // An opening belongs to the epoch that it ends.
      await this.#target.commit({ ...this.#batch([], 0), check: this.#check(before), open });
    } catch (error) {
      if (!(error instanceof SyncError) || error.code !== 'fence-disagrees') throw error;
      // Opened by hand when the source was lost, and here is the source again: what is to be done was done.
      const fence = await readFence(this.#target.sql, this.#options.capability, 'none');
      const isDone =
        fence && (fence.epoch === open.epoch ? fence.owner === open.owner : fence.epoch > open.epoch);
      if (!isDone) throw error;
      await this.#commit([], 0);
    }
    this.#options.companion?.handedOver?.();
  }

  /** Not with the next rows or the next second: writers are being held. */
  async #saveTurn(turn: bigint): Promise<void> {
    if (this.#transactions > 0) await this.#flush();
    else {
      await this.#target.settle();
      await this.#commit([], 0);
    }
    this.#options.companion?.turned?.(turn);
  }

  /** Heartbeats count once everything before them is on the target. */
  #passHeartbeats(): void {
    if (this.#heartbeats.length === 0) return;
    const passed = this.#heartbeats.splice(0);
    this.#target.afterwards(() => this.#tell(passed));
  }

  #tellTraced(writes: readonly TracedWrite[]): void {
    for (const write of writes) this.#options.onTraced?.(write);
  }

  #tell(heartbeats: readonly string[]): void {
    for (const at of heartbeats) this.#options.onHeartbeat(at);
  }

  /** Nothing is to be applied: the position moves on all the same, at most once a second. */
  async #idle(): Promise<void> {
    if (this.#tx || this.#transactions > 0) return;
    await this.#target.settle();
    const retried = this.#quarantine.size > 0 && this.#mode === 'apply' ? await this.#retryQuarantined() : [];
    this.#savedAt = performance.now();
    if (this.#isMoved() || this.#tripwires.size > 0 || retried.length > 0)
      await this.#commit([...retried, ...this.#tripwires.take()], retried.length);
  }

  /** Rows in quarantine that somebody asked to have translated again. */
  async #retryQuarantined(): Promise<Statement[]> {
    for (const { table, row } of await this.#quarantine.toRetry(this.#target.sql))
      for (const mapping of this.#options.mappings.get(table) ?? [])
        putRow(mapping, row, this.#quarantine, this.#builder);
    return this.#builder.take();
  }

  /** Sends what whole transactions have gathered; the next are gathered meanwhile. */
  async #flush(): Promise<void> {
    await this.#target.settle();
    if (this.#transactions === 0) return;
    const whole = this.#tx ? this.#builder.takeWhole() : this.#builder.take();
    const statements = [...whole, ...this.#tripwires.take()];
    const heartbeats = this.#heartbeats.splice(0);
    const traced = this.#traced.length > 0 ? this.#traced.splice(0) : none;
    const batch = this.#batch(statements, this.#rows);
    this.#transactions = 0;
    this.#rows = 0;
    await this.#target.send(batch, () => {
      this.#tell(heartbeats);
      this.#tellTraced(traced);
    });
  }

  async #commit(statements: readonly Statement[], rows: number): Promise<void> {
    await this.#target.commit(this.#batch(statements, rows));
  }

  /** What is to be committed now: a transaction that has not ended has moved nothing yet. */
  #batch(statements: readonly Statement[], rows: number): Commit & { rows: number } {
    const state = this.#tx?.before ?? this.#state;
    return {
      state,
      statements: [...statements, ...this.#acknowledged.statementsAt(state.position)],
      check: statements.length > 0 ? this.#check(state) : 'position',
      rows,
    };
  }

  /** Writes what there is of a large transaction into one of the target that stays open until its end. */
  async #writeLarge(tx: Transaction): Promise<void> {
    if (!tx.large) {
      await this.#flush();
      await this.#target.settle();
      tx.large = await this.#target.begin(this.#check(this.#state));
    }
    await tx.large.write(this.#builder.take());
  }

  async #finishLarge(tx: Transaction, large: OpenTransaction): Promise<void> {
    await large.write([...this.#builder.take(), ...this.#acknowledged.statementsAt(this.#state.position)]);
    await large.finish(this.#state, tx.rows);
    this.#tellTraced(this.#traced.splice(0));
  }

  /** What the target's fence must say for rows that the stream has read in this state. */
  #check(state: StreamState): Commit['check'] {
    return checkOf(this.#options.kind, this.#options.key.source, state);
  }
}

/** What a statement is about, without a value: its first words, as long as they are names. */
function publicWords(sql: string): string {
  const words = sql.trim().split(/\s+/, 3);
  const value = words.findIndex((word) => !/^[\p{L}\p{N}_$`.]+$/u.test(word));
  return words.slice(0, value === -1 ? 3 : value).join(' ');
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
