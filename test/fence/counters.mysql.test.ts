// An id that the old owner has given is not given again: also of a row that is gone, on tables that refuse an empty row, after
// a restart, and on the way back.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { identity } from '../../acl/identity.ts';
import type { Side } from '../../capability/capability.ts';
import { secretIn } from '../../scripts/accounts.ts';
import { dialects } from '../../sync/binlog/test-servers.ts';
import { countersOf, raiseCounters } from '../../sync/raise-counters.ts';
import { type Fenced, startFenced } from './fenced.ts';

const tables = {
  checked: `(id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(10) NOT NULL, size INT NOT NULL,
    CONSTRAINT size_is_there CHECK (size > 0))`,
  labelled:
    '(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, label VARCHAR(10) NOT NULL, UNIQUE KEY by_label (label))',
  child: `(id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, of_label INT NOT NULL,
    twice INT GENERATED ALWAYS AS (of_label * 2) STORED, FOREIGN KEY (of_label) REFERENCES labelled (id))`,
  guarded: '(id SMALLINT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(10) NOT NULL)',
  full: '(id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY)',
};
const sound = Object.keys(tables).filter((name) => name !== 'full');

describe.each(dialects)('%s', (dialect) => {
  let fenced: Fenced;
  beforeAll(async () => {
    fenced = await startFenced(dialect, tables);
    for (const schema of ['shop', 'things'])
      await fenced.root.query(
        `USE ${schema};
         CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW
           BEGIN IF NEW.v = '' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'nothing in it'; END IF; END;
         INSERT INTO checked (kind, size) VALUES ('a', 1); INSERT INTO labelled (label) VALUES (''), ('b');
         INSERT INTO child (of_label) VALUES (1); INSERT INTO guarded (v) VALUES ('a')`,
      );
  });
  afterAll(() => fenced?.[Symbol.asyncDispose]());

  const applier = () => fenced.own('banyan_apply', secretIn(fenced.folder, 'banyan_apply'));
  const endsTo = (to: Side, sql: Connection, of: readonly string[]) => {
    const end = (side: Side) => ({ side, sql, schema: side === 'legacy' ? 'shop' : 'things' });
    return {
      capability: {
        name: 'things',
        team: 'test',
        routes: [],
        tables: of.map(identity),
        references: [],
        service: { upstream: 'things', database: 'things' },
      },
      source: end(to === 'legacy' ? 'service' : 'legacy'),
      target: end(to),
    };
  };
  const binlogEnd = async (): Promise<unknown> => {
    const [rows] = await fenced.root.query<RowDataPacket[]>(
      dialect === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    );
    return [rows[0]?.File, rows[0]?.Position];
  };
  test('there: nothing is logged, no row is left, and it is still so after a crash', async () => {
    await fenced.root.query(
      `USE shop; INSERT INTO item (id, v) VALUES (5000, 'gone'); DELETE FROM item WHERE id = 5000;
       INSERT INTO checked (id, kind, size) VALUES (20000000000, 'gone', 1); DELETE FROM checked WHERE kind = 'gone';
       INSERT INTO labelled (id, label) VALUES (300, 'gone'); DELETE FROM labelled WHERE label = 'gone'`,
    );
    const sql = await applier();
    const ends = endsTo('service', sql, ['item', ...sound]);
    const before = await binlogEnd();
    const raised = await raiseCounters(ends);
    expect(raised.map(({ table }) => table).toSorted()).toEqual(['item', ...sound].toSorted());
    expect(await binlogEnd()).toEqual(before);
    expect(await raiseCounters(ends)).toEqual([]);
    sql.destroy();
    // Something is committed afterwards, and then the server is gone.
    await fenced.root.query("INSERT INTO shop.seen (v) VALUES ('later')");
    await fenced.restart();
    const root = await fenced.rootAgain();
    const given = async (text: string) => {
      const [made] = await root.query(`INSERT INTO things.${text}`);
      return 'insertId' in made ? String(made.insertId) : '';
    };
    expect(await given("item (v) VALUES ('new')")).toBe('6001');
    expect(await given("checked (kind, size) VALUES ('new', 1)")).toBe('20200000001');
    expect(await given("labelled (label) VALUES ('new')")).toBe('1301');
    expect(await given('child (of_label) VALUES (1)')).toBe('1002');
    expect(await given("guarded (v) VALUES ('new')")).toBe('1002');
  });

  test('a nearly full column is a fault that says so, before anything is closed', async () => {
    const root = await fenced.rootAgain();
    await root.query('INSERT INTO shop.full (id) VALUES (250)');
    const sql = await applier();
    const ends = endsTo('service', sql, ['full']);
    expect(await countersOf(ends)).toMatchObject([{ table: 'full', source: 251n, room: false }]);
    await expect(raiseCounters(ends)).rejects.toMatchObject({
      message: expect.stringMatching(/^full\.id: the next value is 1, the other side's 251/),
      hint: expect.stringMatching(/make it larger on both sides/),
    });
  });

  test('and back: what the service has given, legacy does not give', async () => {
    const root = await fenced.rootAgain();
    const sql = await applier();
    await raiseCounters(endsTo('legacy', sql, ['item', ...sound]));
    const [made] = await root.query("INSERT INTO shop.item (v) VALUES ('by legacy')");
    expect('insertId' in made && Number(made.insertId)).toBe(7002);
  });
});
