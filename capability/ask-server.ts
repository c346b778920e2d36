// One question to a server, which answers in time or not at all.
import type { Connection, RowDataPacket } from 'mysql2/promise';

/** A server that does not answer at all: what it was asked is then lost, and so is the session; milliseconds. */
export const answerMsMax = 5_000;

/** @returns the rows */
export async function select(
  sql: Connection,
  statement: string,
  values: unknown[],
): Promise<RowDataPacket[]> {
  const [rows] = await sql.query<RowDataPacket[]>({ sql: statement, values, timeout: answerMsMax });
  return rows;
}
