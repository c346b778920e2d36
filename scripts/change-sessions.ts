// The sessions of who runs a change of owner: two to each side's server, opened anew when one is lost.
import type { Connection } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';
import { type FenceSessions, prepareFenceSession } from '../capability/fence.ts';

type Role = 'sql' | 'observer';

export class ChangeSessions {
  readonly #connect: (side: Side) => Promise<Connection>;
  /** Also those that are being opened: whoever gives up while one is on its way must not leave it behind. */
  readonly #open = new Map<string, Promise<Connection>>();
  #isOver = false;

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
      this.#open.get(`${side} ${role}`)?.then(
        (sql) => sql.destroy(),
        () => undefined, // whoever wanted it has heard
      );
      this.#open.delete(`${side} ${role}`);
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.drop('legacy');
    this.drop('service');
  }

  #get(side: Side, role: Role): Promise<Connection> {
    const key = `${side} ${role}`;
    const known = this.#open.get(key);
    if (known) return known;
    if (this.#isOver) return Promise.reject(new Error('these sessions have ended'));
    const opening = this.#prepared(side);
    this.#open.set(key, opening);
    opening.catch(() => {
      if (this.#open.get(key) === opening) this.#open.delete(key);
    });
    return opening;
  }

  async #prepared(side: Side): Promise<Connection> {
    const sql = await this.#connect(side);
    try {
      await prepareFenceSession(sql);
      return sql;
    } catch (error) {
      sql.destroy();
      throw error;
    }
  }
}
