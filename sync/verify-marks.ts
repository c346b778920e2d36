// Waiting until the stream has applied everything that was written before now: a mark is written to the source, and
// has landed when the transaction that applies what came before it has committed on the target.
import { randomUUID } from 'node:crypto';
import type { Connection } from 'mysql2/promise';
import type { FrameKey } from './frame.ts';
import type { Statement } from './statements.ts';
import type { Companion } from './stream.ts';

type Underway = {
  readonly landed: PromiseWithResolvers<boolean>;
  readonly onRead: () => Promise<readonly Statement[]>;
};

/** How often one looks whether the stream still applies: in watch mode no mark comes back. */
const lookMs = 250;

export class Marks implements Companion {
  readonly #key: FrameKey;
  readonly #sql: Connection;
  readonly #isApplying: () => boolean;
  readonly #underway = new Map<string, Underway>();

  /** @param sql to the source */
  constructor(key: FrameKey, sql: Connection, isApplying: () => boolean) {
    this.#key = key;
    this.#sql = sql;
    this.#isApplying = isApplying;
  }

  passed(): void {
    // marks only
  }

  mark(mark: string): Promise<readonly Statement[]> | undefined {
    // It stays until it has landed: a transaction that is taken back comes again.
    const underway = this.#underway.get(mark);
    return underway && this.#statements(underway);
  }

  async #statements({ landed, onRead }: Underway): Promise<readonly Statement[]> {
    const end: Statement = { table: 'banyan_watermark', sql: 'DO 0', landed: () => landed.resolve(true) };
    return [...(await onRead()), end];
  }

  /**
   * @param onRead called when the stream reads the mark: what it returns is applied there
   * @returns whether it has landed: false when the signal came, or the stream no longer applies
   */
  async pass(
    signal: AbortSignal,
    onRead: () => Promise<readonly Statement[]> = async () => [],
  ): Promise<boolean> {
    const mark = randomUUID();
    const landed = Promise.withResolvers<boolean>();
    this.#underway.set(mark, { landed, onRead });
    const giveUp = () => landed.resolve(false);
    signal.addEventListener('abort', giveUp, { once: true });
    const looking = setInterval(() => {
      if (!this.#isApplying()) giveUp();
    }, lookMs);
    try {
      if (signal.aborted) return false;
      await this.#sql.query('UPDATE banyan.banyan_watermark SET mark = ? WHERE capability = ?', [
        mark,
        this.#key.capability,
      ]);
      return await landed.promise;
    } finally {
      clearInterval(looking);
      signal.removeEventListener('abort', giveUp);
      this.#underway.delete(mark);
    }
  }
}
