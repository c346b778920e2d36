// Capabilities that legacy follows no longer, by the word of the services' server.
import type { Connection, RowDataPacket } from 'mysql2/promise';

/** @param sql to the services' server */
export async function isRetired(sql: Connection, capability: string): Promise<boolean> {
  const [rows] = await sql.query<RowDataPacket[]>(
    'SELECT 1 FROM banyan.banyan_retired WHERE capability = ?',
    [capability],
  );
  return rows.length > 0;
}
