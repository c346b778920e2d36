// Writes seen on the side that is not owner: counted by kind and table, written with the next position.
import type { FrameKey } from './frame.ts';
import { literal } from './literal.ts';
import type { Statement } from './statements.ts';

export class Tripwires {
  readonly #stream: FrameKey;
  readonly #seen = new Map<string, { count: number; position: string }>();

  constructor(stream: FrameKey) {
    this.#stream = stream;
  }

  get size(): number {
    return this.#seen.size;
  }

  see(what: string, count: number, position: string): void {
    const known = this.#seen.get(what);
    this.#seen.set(what, { count: (known?.count ?? 0) + count, position });
  }

  take(): Statement[] {
    const statements = [...this.#seen].map(([what, { count, position }]) => ({
      table: 'banyan_tripwire',
      sql: `INSERT INTO banyan.banyan_tripwire (capability, source, what, seen, position)
        VALUES (${[this.#stream.capability, this.#stream.source, what.slice(0, 200), count, position.slice(0, 500)].map(literal).join(',')})
        ON DUPLICATE KEY UPDATE seen=seen+VALUES(seen), position=VALUES(position), last_at=CURRENT_TIMESTAMP(6)`,
    }));
    this.#seen.clear();
    return statements;
  }
}
