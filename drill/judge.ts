// The last judgement: nobody writes any more, and both sides must say the same of everything.
import { createConnection } from 'mysql2/promise';
import { ledgerFaults } from '../test/story/shop-ledger.ts';
import type { Shoppers } from '../test/story/shoppers.ts';
import { differences } from './equal.ts';
import type { House } from './house.ts';
import type { Outcome } from './outcome.ts';
import { streamsAligned, streamTrouble } from './sides.ts';
import { verify } from './verify.ts';

/** Nobody writes, and the streams have come to the end: now nothing may be missing, there twice, or different. */
export async function judge(house: House, shoppers: Shoppers, total: Outcome): Promise<void> {
  const { servers, stack } = house;
  await streamsAligned(servers);
  const on = {
    legacy: await createConnection(stack.databases.legacy),
    service: await createConnection(stack.databases.services),
  };
  const faults = await ledgerFaults(on, shoppers.reviews);
  for (const sql of Object.values(on)) sql.destroy();
  total.lost += faults.filter(({ is }) => is === 'lost').length;
  total.doubled += faults.filter(({ is }) => is === 'doubled').length;
  total.reasons.push(
    ...faults.slice(0, 20).map(({ side, is, mark, detail }) => `${is} on ${side}: ${mark}: ${detail}`),
  );
  const equal = await differences(servers.legacy, servers.service);
  const verified = await verify(house, 'still');
  total.differences += equal.count > 0 ? equal.count : verified.differences;
  total.reasons.push(...equal.examples, ...verified.reasons, ...(await streamTrouble(servers)));
  if (equal.count > 0 && verified.differences === 0)
    total.reasons.push('"banyan verify" finds nothing where SQL finds differences');
  if (shoppers.ownReads() === 0) total.reasons.push('nobody has read what it had written');
}
