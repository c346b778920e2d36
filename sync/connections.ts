// Connections that end together, also those of several of which one could not be made.
import type { Connection } from 'mysql2/promise';
import type { Side } from '../capability/capability.ts';

export type Connect = (side: Side, account: 'read' | 'apply') => Promise<Connection>;

export class Connections {
  readonly #connect: Connect;
  readonly #open: Connection[] = [];

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  async open(side: Side, account: 'read' | 'apply'): Promise<Connection> {
    const connection = await this.#connect(side, account);
    this.#open.push(connection);
    return connection;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#open) connection.destroy();
  }
}
