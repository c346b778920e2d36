// Decoding alone, rows per second: the binlog of one large transaction of ten-column rows, from the file and over
// the wire, beside `mariadb-binlog -vv` on the same file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { startPrivateServer } from '../scripts/private-server.ts';
import { claimRunFolder } from '../scripts/run-folder.ts';
import type { Change } from '../sync/binlog/change.ts';
import { readChanges } from '../sync/binlog/events.ts';
import { openBinlogFile } from '../sync/binlog/file.ts';
import { openBinlog } from '../sync/binlog/reader.ts';
import { Tables } from '../sync/binlog/tables.ts';
import { Transactions } from '../sync/binlog/transactions.ts';
import { againstPeer, type Measured, median } from './measure.ts';

const rowsAtFullSize = 1_000_000;
const rounds = 3;

const table = `CREATE TABLE decoded (id INT UNSIGNED NOT NULL PRIMARY KEY, big BIGINT NOT NULL, name VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL,
  review VARCHAR(80) CHARACTER SET euckr NOT NULL, stamp CHAR(14) NOT NULL, price DECIMAL(12,2) NOT NULL, at DATETIME NOT NULL,
  flag TINYINT NOT NULL, state ENUM('new','paid','sent','done') NOT NULL, body TEXT) CHARACTER SET utf8mb4`;
const insert = (rows: number) =>
  `INSERT INTO decoded SELECT seq, seq * 1000003, CONCAT('Customer name ', seq, ' 이름'), CONCAT('상품평입니다 ', seq, ' 좋아요 배송 빨라요'),
   DATE_FORMAT('2023-01-01' + INTERVAL seq SECOND, '%Y%m%d%H%i%s'), seq * 1.37, '2023-01-01' + INTERVAL seq SECOND, seq % 2, 1 + seq % 4,
   CONCAT('This is the body of the review, number ', seq, ', with a bit of text. 본문') FROM seq_1_to_${rows}`;

/** Rows a second until so many were seen. */
async function rate(changes: AsyncIterable<Change>, rows: number): Promise<number> {
  const begin = performance.now();
  let seen = 0;
  for await (const change of changes) {
    if (change.kind === 'rows') seen += change.rows.length;
    if (seen >= rows) break;
  }
  if (seen < rows) throw new Error(`${seen} rows where ${rows} were written`);
  return seen / ((performance.now() - begin) / 1_000);
}

async function mariadbBinlogRate(path: string, rows: number): Promise<number> {
  const begin = performance.now();
  const child = spawn('mariadb-binlog', ['--no-defaults', '-vv', path], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`mariadb-binlog ended with ${code}`);
  return rows / ((performance.now() - begin) / 1_000);
}

async function fileRate(
  path: string,
  rows: number,
  collations: ReadonlyMap<number, string>,
): Promise<number> {
  const source = await openBinlogFile(path);
  const transactions = new Transactions({
    from: { gtid: '', at: undefined },
    dialect: 'mariadb',
    tables: new Tables({ collations, wants: (_, name) => name === 'decoded' }),
    collations,
    heldBytesMax: 1024 * 1024,
    isFile: true,
  });
  try {
    return await rate(readChanges(source, transactions), rows);
  } finally {
    await source.close();
  }
}

/** @param size share of the full 1,000,000 rows */
export async function benchDecode(size: number): Promise<Measured[]> {
  const rows = Math.max(1, Math.round(rowsAtFullSize * size));
  const folder = join(import.meta.dirname, '..', 'var', 'bench', `decode-${process.pid}`);
  const runFolder = await claimRunFolder(folder);
  const server = await startPrivateServer({ folder: join(folder, 'server'), runFolder, serverId: 1 });
  try {
    const sql = await createConnection(server.url);
    await sql.query('CREATE DATABASE bench');
    await sql.query('USE bench');
    await sql.query(table);
    await sql.query('FLUSH BINARY LOGS');
    const [status] = await sql.query<RowDataPacket[]>('SHOW MASTER STATUS');
    const file = String(status[0]?.File);
    await sql.query(insert(rows));
    const [named] = await sql.query<RowDataPacket[]>(
      'SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.COLLATIONS WHERE ID IS NOT NULL',
    );
    const collations = new Map(named.map(({ id, charset }) => [Number(id), String(charset)]));
    await sql.end();
    const path = join(folder, 'server', 'data', file);
    const peers: number[] = [];
    const fromFile: number[] = [];
    const overWire: number[] = [];
    for (let round = 0; round < rounds; round++) {
      peers.push(await mariadbBinlogRate(path, rows));
      fromFile.push(await fileRate(path, rows, collations));
      const reader = await openBinlog({
        connection: { uri: server.url },
        serverId: 4_000_000_001,
        from: { gtid: undefined, at: { file, offset: 4 } },
        tables: (_, name) => name === 'decoded',
      });
      overWire.push(await rate(reader.events, rows));
      await reader.stop();
    }
    const note = `rows/s, median of ${rounds}; the peer reads the file and prints text`;
    return [
      againstPeer('decode a binlog file', median(fromFile), median(peers), 1, 2, note),
      againstPeer('decode over the wire', median(overWire), median(peers), 1, 2, note),
    ];
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
