// Which worker runs a capability's streams: a row with an end, by the services' server's clock. Comfort only: two
// workers do not disturb each other; that no harm is done rests on the compare-and-set of each stream's position.
import type { Connection } from 'mysql2/promise';

export const leaseSeconds = 4;
export const renewMs = 1_000;

/** @returns whether it is ours now */
export async function takeLease(sql: Connection, capability: string, holder: string): Promise<boolean> {
  await sql.query(
    `INSERT INTO banyan.banyan_worker (capability, holder, lease_until) VALUES (?, ?, UNIX_TIMESTAMP(SYSDATE(6)) + ?)
     ON DUPLICATE KEY UPDATE
       holder = IF(holder = VALUES(holder) OR lease_until < UNIX_TIMESTAMP(SYSDATE(6)), VALUES(holder), holder),
       lease_until = IF(holder = VALUES(holder), VALUES(lease_until), lease_until)`,
    [capability, holder, leaseSeconds],
  );
  // The count of rows says nothing: the driver asks for those found, and a row left as it was is found, too.
  const [rows] = await sql.query('SELECT 1 FROM banyan.banyan_worker WHERE capability = ? AND holder = ?', [
    capability,
    holder,
  ]);
  return Array.isArray(rows) && rows.length === 1;
}

export async function releaseLease(sql: Connection, capability: string, holder: string): Promise<void> {
  await sql.query('DELETE FROM banyan.banyan_worker WHERE capability = ? AND holder = ?', [
    capability,
    holder,
  ]);
}
