// A mixed load on the side that owns: what applications do to tables, by several writers at once, by a seed.
import type { Connection } from 'mysql2/promise';
import { type Crew, startCrew, type Writer } from './crew.ts';
import type { Pair, Side } from './pair.ts';
import type { Chance } from './seed.ts';
import { Stopped, until } from './until.ts';

export const loadTables = ['orders', 'order_lines', 'tags', 'members'];

export const loadDdl = `
CREATE TABLE orders (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, owner VARCHAR(20) CHARACTER SET euckr NOT NULL,
  amount DECIMAL(20,4) NOT NULL, note TEXT CHARACTER SET utf8mb4 NULL, at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6));
CREATE TABLE order_lines (order_id BIGINT UNSIGNED NOT NULL, seq SMALLINT UNSIGNED NOT NULL, product VARCHAR(30) CHARACTER SET utf8mb4 NOT NULL,
  qty INT NOT NULL, total BIGINT GENERATED ALWAYS AS (qty * 10) STORED, PRIMARY KEY (order_id, seq));
CREATE TABLE tags (k VARCHAR(12) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL PRIMARY KEY, v INT NOT NULL, u VARCHAR(12) CHARACTER SET utf8mb4 NULL UNIQUE, data VARBINARY(20) NULL);
CREATE TABLE members (region ENUM('서울','부산','jeju') CHARACTER SET utf8mb4 NOT NULL, name VARCHAR(20) CHARACTER SET euckr NOT NULL, points BIGINT NOT NULL, PRIMARY KEY (region, name));
`;

const words = ['a', 'A', 'b', 'B', 'c', 'C', 'a ', '가', '나', 'zz', 'Zz', 'é', 'e', "o'x"];
const names = ['kim', 'Kim', '김철수', '똠방', 'lee ', 'LEE', '뷁'];
const regions = ['서울', '부산', 'jeju'];
const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

/** One transaction of an application: its statements. */
function operation({ below, pick }: Chance, writer: number): string[] {
  const order = () => below(60) + 1;
  const word = () => text(pick(words));
  const member = () => `(region = ${text(pick(regions))} AND name = ${text(pick(names))})`;
  const atOnce = (...statements: string[]) => ['BEGIN', ...statements, 'COMMIT'];
  const insertOrder = () =>
    `INSERT IGNORE INTO orders (id, owner, amount, note) VALUES (${order()}, ${text(pick(names))}, ${below(1e9)}.${below(10_000)}, ${pick(['NULL', "'가\\\\n\\''", "''"])})`;
  const insertLines = () =>
    `INSERT INTO order_lines (order_id, seq, product, qty) VALUES (${order()}, ${below(5)}, ${word()}, 1), (${order()}, ${below(5) + 5}, ${word()}, 2) ON DUPLICATE KEY UPDATE qty = qty + 1, product = VALUES(product)`;
  const kinds: (() => string[])[] = [
    () => [insertOrder()],
    () =>
      atOnce(
        insertOrder(),
        insertLines(),
        `UPDATE members SET points = points + 9007199254740993 % 7 WHERE ${member()}`,
      ),
    () => [`UPDATE order_lines SET qty = qty + 1 WHERE order_id BETWEEN ${order()} AND ${order()}`],
    () =>
      atOnce(
        `DELETE FROM order_lines WHERE order_id = ${order()}`,
        `DELETE FROM orders WHERE id IN (${order()}, ${order()}, ${order()})`,
      ),
    () => [
      `REPLACE INTO tags (k, v, u) VALUES (${word()}, ${below(100)}, ${word()}), (${word()}, ${below(100)}, NULL)`,
    ],
    () => [
      `INSERT INTO tags (k, v, data) VALUES (${word()}, 0, x'00ff00') ON DUPLICATE KEY UPDATE v = v + 1, k = VALUES(k)`,
    ],
    () => [`UPDATE tags SET k = IF(BINARY k = LOWER(k), UPPER(k), LOWER(k)) WHERE k = ${word()}`],
    () => {
      const [one, other] = [word(), word()];
      return atOnce(
        `UPDATE tags SET k = 'tmp${writer}' WHERE k = ${one}`,
        `UPDATE tags SET k = ${one} WHERE k = ${other}`,
        `UPDATE tags SET k = ${other} WHERE k = 'tmp${writer}'`,
      );
    },
    () => {
      const [one, other] = [word(), word()];
      return atOnce(
        `UPDATE tags SET u = 'tmp${writer}' WHERE u = ${one}`,
        `UPDATE tags SET u = ${one} WHERE u = ${other}`,
        `UPDATE tags SET u = ${other} WHERE u = 'tmp${writer}'`,
      );
    },
    () => [`DELETE FROM tags WHERE k IN (${word()}, ${word()})`],
    () => ['BEGIN', insertOrder(), insertLines(), `DELETE FROM tags WHERE k = ${word()}`, 'ROLLBACK'],
    () => [
      'BEGIN',
      insertOrder(),
      'SAVEPOINT s',
      insertLines(),
      `DELETE FROM members`,
      'ROLLBACK TO SAVEPOINT s',
      insertLines(),
      'COMMIT',
    ],
    () => [`UPDATE order_lines SET seq = seq + 10 WHERE order_id = ${order()} ORDER BY seq DESC`],
    () => [`UPDATE order_lines SET order_id = order_id + 1000 WHERE order_id = ${order()}`],
    () => [
      `INSERT IGNORE INTO order_lines (order_id, seq, product, qty) SELECT id, ${below(5)}, owner, 3 FROM orders WHERE id < 1000`,
    ],
    () => [
      `INSERT IGNORE INTO members VALUES (${text(pick(regions))}, ${text(pick(names))}, ${below(9)}), (${text(pick(regions))}, ${text(pick(names))}, 7)`,
    ],
    () => [`DELETE FROM members WHERE ${member()} OR ${member()} OR ${member()}`],
    () => [
      `UPDATE IGNORE members SET region = ${text(pick(regions))}, name = ${text(pick(names))} WHERE ${member()}`,
    ],
    () => {
      const from = 100_000 * (writer + 1);
      return pick([
        [
          `INSERT IGNORE INTO orders (id, owner, amount, note) SELECT ${from} + seq, 'bulk', seq / 7, REPEAT('x', seq % 50) FROM seq_1_to_${500 + below(3_000)}`,
        ],
        [`DELETE FROM orders WHERE id BETWEEN ${from} AND ${from} + 50000`],
        [`UPDATE orders SET amount = amount + 0.0001 WHERE id BETWEEN ${from} AND ${from} + 50000`],
      ]);
    },
  ];
  return pick(kinds)();
}

export type Load = Pick<Crew, 'pause' | 'stop'> & {
  /** Transactions so far, of all writers. */
  done(): number;
  /** Resolves once there are so many more. */
  more(transactions: number): Promise<void>;
  resume(side: Side): void;
};

const passing: ReadonlySet<string> = new Set([
  'ER_DUP_ENTRY',
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_CHECKREAD',
]);
const codeOf = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

/** Writers on the legacy side first. @param mayWrite before each transaction: they wait for it */
export function startLoad(
  pair: Pair,
  chance: Chance,
  writers: number,
  mayWrite?: () => Promise<unknown>,
): Load {
  let side: Side = 'legacy';
  let done = 0;
  const failures: unknown[] = [];
  const mayGoOn = () => {
    if (failures.length > 0) throw new Stopped('a writer has failed', { cause: failures[0] });
  };
  const hire = (writer: number, isOff: () => boolean): Writer => {
    const own = chance.fork(`writer ${writer}`);
    let sql: Connection | undefined;
    let isOn = side;
    return {
      async turn() {
        try {
          await mayWrite?.();
          if (isOn !== side) sql?.destroy();
          if (!sql || isOn !== side) {
            isOn = side;
            sql = await pair.connect(side);
          }
          for (const statement of operation(own, writer)) await sql.query(statement);
          done++;
          // An application thinks, too: the load is a mix, not a race with the stream.
          await sql.query('DO SLEEP(0.004)');
        } catch (error) {
          const code = codeOf(error);
          if (passing.has(code)) await sql?.query('ROLLBACK').catch(() => undefined);
          else if (code.startsWith('ER_') && !/SHUTDOWN|KILLED|INTERRUPTED|CONNECTION/.test(code)) {
            failures.push(error);
            return false;
          } else {
            // The server is gone: its transaction, too.
            sql?.destroy();
            sql = undefined;
            await until('the server', async () => {
              if (isOff()) return true;
              await (await pair.connect(side)).end();
              return true;
            });
          }
        }
        return true;
      },
      close: () => sql?.destroy(),
    };
  };
  const crew = startCrew(writers, hire, mayGoOn);
  return {
    done: () => done,
    more: async (transactions) => {
      const goal = done + transactions;
      await until(`${transactions} transactions more`, () => {
        mayGoOn();
        return done >= goal;
      });
    },
    pause: crew.pause,
    resume: (on) => {
      side = on;
      crew.resume();
    },
    stop: async () => {
      await crew.stop();
      if (failures.length > 0) throw failures[0];
    },
  };
}
