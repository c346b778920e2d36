// The sessions of who runs a change of owner: two to each side's server, opened anew when one is lost.
import type { Connection } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { type FenceSessions, prepareFenceSession } from '../capability/fence.ts';

type Role = 'sql' | 'observer';

export class ChangeSessions {
  readonly #connect: (side: Side) => Promise<Connection>;
  readonly #open = new Map<string, Connection>();

  constructor(connect: (side: Side) => Promise<Connection>) {
    this.#connect = connect;
  }

  /** @throws when the server cannot be reached */
  async of(side: Side): Promise<FenceSessions> {
    return { sql: await this.#get(side, 'sql'), observer: await this.#get(side, 'observer') };
  }

  async sql(side: Side): Promise<Connection> {
    return this.#get(side, 'sql');
  }

  async both(): Promise<Record<Side, Connection>> {
    const [legacy, service] = await Promise.all([this.sql('legacy'), this.sql('service')]);
    return { legacy, service };
  }

  /** The next use opens others: a session whose answer was lost is in a state that nobody knows. */
  drop(side: Side): void {
    for (const role of ['sql', 'observer'] as const) {
      this.#open.get(`${side} ${role}`)?.destroy();
      this.#open.delete(`${side} ${role}`);
    }
  }

  [Symbol.dispose](): void {
    this.drop('legacy');
    this.drop('service');
  }

  async #get(side: Side, role: Role): Promise<Connection> {
    const known = this.#open.get(`${side} ${role}`);
    if (known) return known;
    const sql = await this.#connect(side);
    await prepareFenceSession(sql);
    this.#open.set(`${side} ${role}`, sql);
    return sql;
  }
}
