// The fence's triggers on a real server: what they refuse and note, and that they are changed while people write.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readFenceModes } from '../../capability/fence-triggers.ts';
import { foldWritten } from '../../capability/writers.ts';
import { secretIn } from '../../scripts/accounts.ts';
import { dialects } from '../../sync/binlog/test-servers.ts';
import { clearWay } from '../../sync/clear-way.ts';
import { until } from '../sync/until.ts';
import { type Fenced, startFenced } from './fenced.ts';

describe.each(dialects)('%s', (dialect) => {
  let fenced: Fenced;
  let shop: Connection;
  let things: Connection;
  beforeAll(async () => {
    fenced = await startFenced(dialect);
  });
  afterAll(() => fenced?.[Symbol.asyncDispose]());

  const execute = (...words: string[]) => fenced.run('fence', 'things', ...words, '--execute');
  const ask = async (sql: string): Promise<RowDataPacket[]> =>
    (await fenced.root.query<RowDataPacket[]>(sql))[0];
  const setFence = (owner: string, epoch: number, turnSeconds?: number) =>
    fenced.root.query(
      `UPDATE banyan.banyan_fence SET owner = '${owner}', epoch = ${epoch},
       turn_id = ${turnSeconds === undefined ? 'NULL' : 1}, turn_deadline = ${turnSeconds === undefined ? 'NULL' : `UNIX_TIMESTAMP(SYSDATE(6)) + ${turnSeconds}`}`,
    );
  const writers = async () => {
    const { result } = await fenced.run('writers', 'things');
    const { sides } = result as { sides: { writers: { user: string; rows: number; declared: boolean }[] }[] };
    return sides[0]?.writers.map(({ user, rows, declared }) => ({ user, rows, declared })) ?? [];
  };
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => 'written',
      (error: Error) => error.message,
    );
  /** Sessions of their own: what is noted once a second is noted by session. */
  beforeEach(async () => {
    shop?.destroy();
    things?.destroy();
    await setFence('legacy', 3);
    await fenced.root.query('DELETE FROM banyan.banyan_written; DELETE FROM banyan.banyan_writer');
    shop = await fenced.as('shop_app', 'shop');
    things = await fenced.as('things_app', 'things');
  });

  test('a dry run prints what would run, and changes nothing', async () => {
    const { said } = await fenced.run('fence', 'things', '--enforce');
    expect(said).toMatch(/off {6}shop\.item/);
    expect(said).toMatch(
      /CREATE DEFINER='banyan_fence'@'localhost' TRIGGER `shop`\.`banyan_fence_insert_item_/,
    );
    expect(said).toMatch(/nothing was changed/);
    expect(await ask("SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'banyan%'")).toEqual(
      [],
    );
  });

  test('observing refuses nothing and notes who writes; wherever the note was rolled back it is repeated', async () => {
    await execute('--observe');
    await things.query("INSERT INTO item (v) VALUES ('not the owner')");
    await shop.beginTransaction();
    await shop.query("INSERT INTO item (v) VALUES ('a'), ('b')");
    const [[last]] = await shop.query<RowDataPacket[]>('SELECT LAST_INSERT_ID() AS id');
    expect(String(last?.id)).toBe('1');
    await shop.rollback();
    expect(await writers()).not.toContainEqual(expect.objectContaining({ user: 'shop_app' }));
    await until('the note, repeated', async () => {
      await shop.query("INSERT INTO item (v) VALUES ('d')");
      return (await writers()).some(({ user }) => user === 'shop_app');
    });
    const batch = await fenced.as('shop_batch', 'shop');
    await batch.query('DELETE FROM item');
    expect((await writers()).map(({ user, declared }) => [user, declared]).toSorted()).toEqual([
      ['shop_app', true],
      ['shop_batch', false],
      ['things_app', false],
    ]);
    const { result } = await fenced.run('writers', 'things');
    expect((result as { sides: { since: string }[] }).sides[0]?.since).toMatch(/^\d{4}-\d\d-\d\dT/);
    // What was there of the table's own goes on.
    expect((await ask('SELECT COUNT(*) AS n FROM things.seen'))[0]?.n).toBe('1');
  });

  test('what is noted is added up, also while a writer has not committed, and can be forgotten', async () => {
    await execute('--observe');
    await shop.query("INSERT INTO item (v) VALUES ('a')");
    const batch = await fenced.as('shop_batch', 'shop');
    await batch.beginTransaction();
    await batch.query("INSERT INTO item (v) VALUES ('b')");
    const cli = await fenced.own('banyan_cli', secretIn(fenced.folder, 'banyan_cli'));
    await foldWritten(cli, 'things');
    expect(await ask('SELECT db_user FROM banyan.banyan_writer WHERE db_user <> ""')).toEqual([
      { db_user: 'shop_app' },
    ]);
    expect(await ask('SELECT db_user FROM banyan.banyan_written')).toEqual([]);
    await batch.commit();
    expect(await writers()).toContainEqual({ user: 'shop_batch', rows: 1, declared: false });
    await fenced.run('writers', 'things', '--forget', 'shop_batch', '--reason', 'it was stopped');
    expect(await writers()).toEqual([{ user: 'shop_app', rows: 1, declared: true }]);
    expect(await refusal(fenced.run('writers', 'things', '--forget', 'nobody', '--reason', 'x'))).toMatch(
      /nothing is noted of "nobody"/,
    );
  });

  test.runIf(dialect === 'mariadb').each(['--observe', '--enforce'])(
    'with rows the server logs the statement that wrote them, and not the note of it: %s',
    async (mode) => {
      await execute(mode);
      // The table's own trigger on INSERT writes before the row, too: what that does is not the fence's affair.
      await fenced.root.query("INSERT INTO shop.item (v) VALUES ('first')");
      const [status] = await ask('SHOW MASTER STATUS');
      const since = `'${status?.File}' FROM ${status?.Position}`;
      await shop.query("UPDATE item SET v = 'logged' ORDER BY id DESC LIMIT 1 /* by the shop */");
      const noted = `SELECT 1 FROM banyan.banyan_written WHERE session_id = ${shop.threadId}`;
      expect(await ask(noted)).toHaveLength(1);
      const statements = (await ask(`SHOW BINLOG EVENTS IN ${since}`))
        .filter(({ Event_type }) => Event_type === 'Annotate_rows')
        .map(({ Info }) => String(Info));
      expect(statements).toContainEqual(expect.stringMatching(/^UPDATE item .*by the shop/));
      expect(statements.join()).not.toContain('banyan_written');
    },
  );

  test('enforcing refuses on the side that does not own, naming owner and epoch; the stream passes', async () => {
    await execute('--enforce');
    await shop.query("INSERT INTO item (v) VALUES ('legacy owns')");
    const message = 'banyan: refused: things is owned by legacy at epoch 3';
    for (const statement of [
      "INSERT INTO item (v) VALUES ('x')",
      "INSERT IGNORE INTO item (v) VALUES ('x')",
      "REPLACE INTO item (id, v) VALUES (1, 'x')",
      "INSERT INTO item (id, v) VALUES (1, 'x') ON DUPLICATE KEY UPDATE v = 'y'",
    ])
      expect(await refusal(things.query(statement))).toBe(message);
    await fenced.root.query("GRANT INSERT, UPDATE, DELETE ON things.* TO banyan_apply@'%'");
    const apply = await fenced.own('banyan_apply', secretIn(fenced.folder, 'banyan_apply'));
    await apply.query("INSERT INTO things.item (id, v) VALUES (77, 'from the stream')");
    expect(await refusal(things.query("UPDATE item SET v = 'x' WHERE id = 77"))).toBe(message);
    expect(await refusal(things.query('DELETE FROM item WHERE id = 77'))).toBe(message);
    await setFence('service', 4);
    await things.query('DELETE FROM item WHERE id = 77');
    expect(await refusal(shop.query('DELETE FROM item'))).toBe(
      'banyan: refused: things is owned by service at epoch 4',
    );
    expect(await ask("SELECT db_user FROM banyan.banyan_written WHERE db_user = 'banyan_apply'")).toEqual([]);
  });

  test.each(['READ COMMITTED', 'REPEATABLE READ'])(
    'a turn at %s: it waits for who writes, and then nobody does',
    async (level) => {
      await execute('--enforce');
      await shop.query(`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`);
      await shop.beginTransaction();
      await shop.query("INSERT INTO item (v) VALUES ('before the turn')");
      let isTurned = false;
      const turning = setFence('legacy', 3, 60).then(() => {
        isTurned = true;
      });
      // Not INNODB_TRX: asked so often, it shows what it showed the first time.
      await until('the turn waits', async () => {
        const [row] = await askBeside("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        return Number(row?.Value) > 0;
      });
      expect(isTurned).toBe(false);
      await shop.commit();
      await turning;
      const message = 'banyan: refused: things is owned by legacy at epoch 3, about to change hands';
      for (const session of [
        "SET time_zone = '+09:00'",
        "SET time_zone = '-11:00'",
        'SET timestamp = 2145916800',
      ]) {
        await shop.query(session);
        expect(await refusal(shop.query("INSERT INTO item (v) VALUES ('x')"))).toBe(message);
      }
      // The deadline is long over: the side admits by itself.
      await fenced.root.query(
        'UPDATE banyan.banyan_fence SET turn_deadline = UNIX_TIMESTAMP(SYSDATE(6)) - 1',
      );
      await shop.query("INSERT INTO item (v) VALUES ('after the turn')");
    },
  );

  /** While root's connection waits. */
  const askBeside = async (sql: string): Promise<RowDataPacket[]> => {
    const cli = await fenced.own('banyan_cli', secretIn(fenced.folder, 'banyan_cli'));
    try {
      return (await cli.query<RowDataPacket[]>(sql))[0];
    } finally {
      cli.destroy();
    }
  };

  test('triggers of an older version are replaced while a writer tries: not one write passes', async () => {
    await execute('--enforce');
    const [older] = await ask(
      "SELECT TRIGGER_NAME AS name, ACTION_STATEMENT AS body FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'banyan_fence_insert%' AND TRIGGER_SCHEMA = 'things'",
    );
    await fenced.root.query(
      `DROP TRIGGER things.${older?.name}; CREATE DEFINER='banyan_fence'@'localhost' TRIGGER things.banyan_fence_insert_item_older BEFORE INSERT ON things.item FOR EACH ROW ${String(older?.body).replace('refused:', 'refused by an older version:')}`,
    );
    const cli = await fenced.own('banyan_cli', secretIn(fenced.folder, 'banyan_cli'));
    const mode = async () => (await readFenceModes(cli, 'things', ['item'], 'things', 'service')).get('item');
    // It notes, and refuses nothing that counts as such.
    expect(await mode()).toBe('observe');
    let isOver = false;
    const answers = new Set<string>();
    const trying = (async () => {
      while (!isOver) answers.add(await refusal(things.query("INSERT INTO item (v) VALUES ('x')")));
    })();
    await until('the writer', () => answers.size > 0);
    await execute('--enforce');
    await until('the new refusal', () => answers.size > 1);
    isOver = true;
    await trying;
    expect([...answers]).toEqual([
      'banyan: refused by an older version: things is owned by legacy at epoch 3',
      'banyan: refused: things is owned by legacy at epoch 3',
    ]);
    expect(await mode()).toBe('enforce');
    // Our own are the first to look; nothing of the older version is left.
    expect(
      await ask(
        "SELECT ACTION_ORDER AS place, LEFT(TRIGGER_NAME, 12) AS name FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'things' AND EVENT_MANIPULATION = 'INSERT' AND ACTION_TIMING = 'BEFORE' ORDER BY 1",
      ),
    ).toEqual([
      { place: expect.anything(), name: 'banyan_fence' },
      { place: expect.anything(), name: 'own_insert' },
    ]);
  });

  test('installing again takes nothing from the triggers meanwhile', async () => {
    await execute('--enforce');
    let isOver = false;
    const answers = new Set<string>();
    const writing = (async () => {
      while (!isOver) answers.add(await refusal(shop.query("INSERT INTO item (v) VALUES ('x')")));
    })();
    for (let again = 0; again < 3; again++) await fenced.run('install');
    isOver = true;
    await writing;
    expect([...answers]).toEqual(['written']);
  });

  test('a table in use: who is in the way is named, and others wait for a second, not for as long as it lasts', async () => {
    await execute('--enforce');
    await shop.beginTransaction();
    await shop.query("INSERT INTO item (v) VALUES ('held')");
    const other = await fenced.as('shop_app', 'shop');
    let isOver = false;
    let worstMs = 0;
    const writing = (async () => {
      while (!isOver) {
        const began = performance.now();
        await other.query("INSERT INTO item (v) VALUES ('meanwhile')");
        worstMs = Math.max(worstMs, performance.now() - began);
      }
    })();
    const failed = await refusal(execute('--observe', '--wait', '1'));
    isOver = true;
    await writing;
    expect(failed).toMatch(
      /^the fence on the legacy server: item was in use for 1 s\. Open on that server: session \d+ \(shop_app@/,
    );
    expect(worstMs).toBeLessThan(5_000);
    await shop.rollback();
    await execute('--observe');
    await execute('--enforce');
  });

  test('at the opening whoever has the fence row is ended, whoever has another row is not, and who may not look says so', async () => {
    await execute('--enforce');
    const connect = () => fenced.own('banyan_apply', secretIn(fenced.folder, 'banyan_apply'));
    const opener = await connect();
    await things.beginTransaction();
    expect(await refusal(things.query("INSERT INTO item (v) VALUES ('x')"))).toMatch(/refused/);
    await shop.query("INSERT INTO item (id, v) VALUES (1000000, 'x')");
    const ended: (number | undefined)[] = [];
    const failures: unknown[] = [];
    const waiting = async (statement: string, look = connect) => {
      await using _way = clearWay({
        key: { capability: 'things', source: 'legacy' },
        thread: opener.threadId,
        connect: look,
        onInTheWay: (blocker, failure) => {
          if (failure === undefined) ended.push(blocker?.thread);
          else failures.push(failure);
        },
      });
      await opener.query('SET SESSION innodb_lock_wait_timeout = 2');
      return await refusal(opener.query(statement));
    };
    expect(await waiting("SELECT 1 FROM banyan.banyan_fence WHERE capability = 'things' FOR UPDATE")).toBe(
      'written',
    );
    expect(ended).toEqual([things.threadId]);
    await shop.beginTransaction();
    await shop.query("UPDATE item SET v = 'y' WHERE id = 1000000");
    expect(await waiting("UPDATE shop.item SET v = 'z' WHERE id = 1000000")).toMatch(/Lock wait timeout/);
    await shop.rollback();
    expect([ended, failures]).toEqual([[things.threadId], []]);
    // Who may not look says so, once, rather than to let everybody wait without a word.
    await shop.beginTransaction();
    await shop.query("UPDATE item SET v = 'y' WHERE id = 1000000");
    const mayNot = () => fenced.as('things_app', 'things');
    expect(await waiting("UPDATE shop.item SET v = 'z' WHERE id = 1000000", mayNot)).toMatch(
      /Lock wait timeout/,
    );
    await shop.rollback();
    expect([ended, failures]).toEqual([
      [things.threadId],
      [expect.objectContaining({ message: expect.stringMatching(/PROCESS privilege/) })],
    ]);
    opener.destroy();
  });

  test('without the triggers legacy would take writes: not while the service owns, unless somebody answers for it', async () => {
    await execute('--enforce');
    await setFence('service', 4);
    expect(await refusal(execute('--off'))).toMatch(/the service owns things.*--override owner --reason/);
    expect(await refusal(execute('--off', '--override', 'owner'))).toMatch(/needs a --reason/);
    await execute('--off', '--override', 'owner', '--reason', 'the last day of legacy');
    expect(await ask("SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'banyan%'")).toEqual(
      [],
    );
    expect(
      await ask("SELECT actor, reason FROM banyan.audit WHERE action = 'fence' AND reason IS NOT NULL"),
    ).toEqual([{ actor: 'test', reason: 'the last day of legacy' }]);
  });

  test.each([
    [['--observe', '--off'], /one mode at a time/],
    [['--execute'], /what is to be executed/],
    [['--enforce', '--override', 'owner', '--reason', 'x'], /--override is for --off/],
  ])('words that mean nothing: %j', async (words, message) => {
    expect(await refusal(fenced.run('fence', 'things', ...words))).toMatch(message);
  });
});
