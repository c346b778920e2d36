// How often the stream has written each wish, told by triggers of the target: a row image is written once, whatever
// was killed meanwhile. Upserts hide a second time from every comparison; this does not.
import type { SideServer } from '../test/sync/servers.ts';
import type { Account } from './ledger.ts';

const written = 'wishlist.drill_written';

/** In the wishlist's schema, before the first row. */
export async function installJournal(service: SideServer): Promise<void> {
  await service.query(
    `CREATE TABLE ${written} (member VARBINARY(60) NOT NULL, product INT UNSIGNED NOT NULL, memo VARCHAR(100) NOT NULL, n INT NOT NULL,
       PRIMARY KEY (member, product, memo)) DEFAULT CHARSET = utf8mb4`,
  );
  for (const event of ['INSERT', 'UPDATE'])
    await service.query(
      `CREATE TRIGGER wishlist.drill_${event.toLowerCase()} AFTER ${event} ON wishlist.TB_WISH FOR EACH ROW
         INSERT INTO ${written} VALUES (NEW.MBR_ID, NEW.PRD_NO, NEW.MEMO, 1) ON DUPLICATE KEY UPDATE n = n + 1`,
    );
}

/** While a backfill runs a row may rightly come twice, by the stream and with its chunk: afterwards begins the count. */
export async function beginJournal(service: SideServer): Promise<void> {
  await service.query(`DELETE FROM ${written}`);
}

/** Since it began. */
export async function auditJournal(service: SideServer): Promise<Account> {
  const twice = await service.query(`SELECT product, memo, n FROM ${written} WHERE n > 1`);
  return {
    lost: 0,
    doubled: twice.length,
    examples: twice
      .slice(0, 10)
      .map(
        ({ product, memo, n }) =>
          `service: wish ${String(product)} with ${String(memo)} was written ${String(n)} times`,
      ),
  };
}
