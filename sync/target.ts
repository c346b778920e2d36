// The target's end of a stream: one transaction after another, each tried again when locks were in its way or its
// connection was lost. One is written while the next is gathered.
import type { Connection } from 'mysql2/promise';
import type { Blocker } from '../capability/blockers.ts';
import { clearWay } from './clear-way.ts';
import { SyncError } from './errors.ts';
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
import { printPosition } from './position.ts';
import type { Statement } from './statements.ts';

const busyTriesMax = 12;

/** What is committed at once; its state's number is the target's own affair. */
export type Batch = Commit & { readonly rows: number };

export type TargetOptions = {
  readonly key: FrameKey;
  connect(): Promise<Connection>;
  /** Rows and position are on the target. */
  onLanded(state: StreamState, rows: number): void;
  /** As {@link clearWay} says it. */
  onInTheWay(blocker: Blocker | undefined, failure: unknown): void;
};

export class Target {
  readonly #options: TargetOptions;
  #sql: Connection;
  /** Our session's id there. */
  #session: number;
  #committed: StreamState;
  #inFlight: Promise<void> = Promise.resolve();
  #failure: unknown;
  #landedAt = 0;

  private constructor(options: TargetOptions, sql: Connection, session: number, committed: StreamState) {
    this.#options = options;
    this.#sql = sql;
    this.#session = session;
    this.#committed = committed;
  }

  /** Connects, and ends the session of whoever ran this stream before. @throws SyncError not-installed */
  static async open(options: TargetOptions): Promise<Target> {
    const sql = await connected(options);
    try {
      const session = await takeOver(sql, options.key);
      return new Target(options, sql, session, await readStreamState(sql, options.key));
    } catch (error) {
      sql.destroy();
      throw error;
    }
  }

  /** To be used only when nothing is under way. */
  get sql(): Connection {
    return this.#sql;
  }

  /** As it stands there. */
  get committed(): StreamState {
    return this.#committed;
  }

  /** When something last was committed, by the process's monotonic clock. */
  get landedAt(): number {
    return this.#landedAt;
  }

  /** Waits for what is under way. @throws what it failed with */
  async settle(): Promise<void> {
    await this.#inFlight;
    this.throwFailure();
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Begins once the one before has landed, and does not wait for its own landing. */
  async send(batch: Batch, landed: () => void): Promise<void> {
    await this.settle();
    this.#inFlight = this.commit(batch).then(landed, (error: unknown) => {
      this.#failure = error;
    });
  }

  /** Called when everything that was sent has landed, not at all when it failed. */
  afterwards(landed: () => void): void {
    this.#inFlight = this.#inFlight.then(() => {
      if (this.#failure === undefined) landed();
    });
  }

  /** One target transaction, tried again within bounds; nothing else may be under way. */
  async commit({ state: read, statements, check, open, rows }: Batch): Promise<void> {
    const before = this.#committed;
    const state = { ...read, seq: before.seq + 1n };
    for (let tries = 1; ; tries++) {
      const frame = new Frame(this.#sql, this.#options.key);
      try {
        await this.#begin(frame, before, { check, state, ...(open ? { open } : {}) });
        await frame.write(statements);
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

  /** A transaction that stays open: for a source transaction too large to hold. Nothing else may be under way. */
  async begin(check: Commit['check']): Promise<OpenTransaction> {
    const frame = new Frame(this.#sql, this.#options.key);
    // The position after it is not known yet: it is set in the same transaction, at the end.
    const state = { ...this.#committed, seq: this.#committed.seq + 1n };
    await frame.begin(this.#committed, { check, state });
    return {
      async write(statements) {
        await frame.write(statements);
        // They are not sent again: a failure begins the whole transaction anew.
        for (const { load } of statements) load?.release();
      },
      finish: async (read, rows) => {
        const after = { ...read, seq: state.seq };
        await frame.finish(after);
        await frame.commit();
        this.#landed(after, rows, []);
      },
      rollback: () => frame.rollback(),
    };
  }

  async close(): Promise<void> {
    await this.#inFlight;
    this.#sql.destroy();
  }

  /** The opening takes the fence row for itself, whoever has it. */
  async #begin(frame: Frame, before: StreamState, commit: Pick<Commit, 'check' | 'open' | 'state'>) {
    if (!commit.open) return frame.begin(before, commit);
    const { key, connect, onInTheWay } = this.#options;
    await using _way = clearWay({ key, thread: this.#session, connect, onInTheWay });
    await frame.begin(before, commit);
  }

  #landed(state: StreamState, rows: number, statements: readonly Statement[]): void {
    this.#committed = state;
    this.#landedAt = performance.now();
    for (const { landed, load } of statements) {
      landed?.();
      load?.release();
    }
    this.#options.onLanded(state, rows);
  }

  /** The answer to a COMMIT may be lost: the row says whether it happened. @returns whether it did */
  async #reconnectedAfter(state: StreamState): Promise<boolean> {
    const { key } = this.#options;
    this.#sql.destroy();
    this.#sql = await connected(this.#options);
    this.#session = await takeBack(this.#sql, key, this.#session);
    const { seq, position } = await readStreamState(this.#sql, key);
    return seq === state.seq && printPosition(position) === printPosition(state.position);
  }
}

export type OpenTransaction = {
  write(statements: readonly Statement[]): Promise<void>;
  /** Commits it at the position that the source transaction's end has. */
  finish(state: StreamState, rows: number): Promise<void>;
  rollback(): Promise<void>;
};

async function connected({ connect }: TargetOptions): Promise<Connection> {
  const sql = await connect();
  await prepareApplySession(sql);
  return sql;
}
