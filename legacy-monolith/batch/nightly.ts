// node batch/nightly.ts: what cron runs at four in the morning. It writes to the database itself, past the shop and
// its API, as such jobs do. One line of JSON on standard output says what it has changed.
import { seoulDateTime, seoulStamp } from '../clock.ts';
import { type Database, openDatabase } from '../database.ts';
import { closeOrder } from '../modules/orders/service.ts';
import { readDatabase } from '../options.ts';

const forbiddenWords = ['바카라', '카지노', '대출상담', '불법복제'];
const unpaidDaysMax = 3;

/** RCMD_CNT is a copy of a count, and copies drift. @returns how many were wrong */
const recount = (db: Database): Promise<number> =>
  db('TB_RVW_MST AS R')
    .leftJoin(
      db('TB_RVW_RCMD').select('RVW_SEQ').count('* AS N').groupBy('RVW_SEQ').as('C'),
      'C.RVW_SEQ',
      'R.RVW_SEQ',
    )
    .whereRaw('R.RCMD_CNT <> COALESCE(C.N, 0)')
    .update({ 'R.RCMD_CNT': db.raw('COALESCE(C.N, 0)') });

/** @returns how many reviews are hidden now that were not */
const hideForbidden = (db: Database): Promise<number> =>
  db('TB_RVW_MST')
    .where({ DSP_YN: 'Y' })
    .where((any) => {
      for (const word of forbiddenWords) any.orWhere('RVW_CTNT', 'like', `%${word}%`);
    })
    .update({ DSP_YN: 'N', MOD_DTM: seoulDateTime() });

/** Cancels what has not been paid for days, one order a transaction. @returns how many */
async function closeUnpaid(db: Database): Promise<number> {
  const before = seoulStamp(new Date(Date.now() - unpaidDaysMax * 86_400_000));
  const unpaid = () => db('TB_ORD_MST').where({ ORD_STS_CD: '10' }).where('RGST_DTM', '<', before);
  const orders = await unpaid().orderBy('ORD_NO').pluck('ORD_NO');
  let closed = 0;
  for (const ordNo of orders) {
    await db.transaction(async (tx) => {
      // It may have been paid or cancelled since it was listed.
      const still = await unpaid().transacting(tx).where({ ORD_NO: ordNo }).forUpdate().first('ORD_NO');
      if (still === undefined) return;
      await closeOrder(tx, ordNo);
      closed++;
    });
  }
  return closed;
}

let db: Database | undefined;
try {
  db = openDatabase(readDatabase(process.env));
  const changed = {
    recounted: await recount(db),
    hidden: await hideForbidden(db),
    closed: await closeUnpaid(db),
    sessionsEnded: await db('TB_LGN_SESS').where('EXPR_DTM', '<', seoulStamp()).delete(),
  };
  process.stdout.write(`${JSON.stringify(changed)}\n`);
} catch (error) {
  const message =
    error instanceof Error ? error.message || String(Reflect.get(error, 'code')) : String(error);
  process.stderr.write(`nightly: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  process.exitCode = 1;
} finally {
  await db?.destroy();
}
