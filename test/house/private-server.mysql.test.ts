import { expect, test } from 'vitest';
import { testDatabase } from '../databases.ts';

test('the private servers are durable, log whole rows, and hold the sample schemas', async () => {
  for (const [server, migrations] of [
    ['legacy', 'legacy'],
    ['services', 'reviews'],
  ] as const) {
    await using database = await testDatabase(server, migrations);
    const [rows] = await database.sql.query(
      `SELECT @@sync_binlog s, @@innodb_flush_log_at_trx_commit f, @@binlog_format b, @@binlog_row_image i, @@log_bin l`,
    );
    expect(rows).toEqual([{ s: '1', f: '1', b: 'ROW', i: 'FULL', l: '1' }]);
    const [tables] = await database.sql.query('SHOW TABLES');
    expect(tables).not.toHaveLength(0);
  }
});
