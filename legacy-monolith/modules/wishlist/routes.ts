// Wishes: TB_WISH is theirs; names and prices come from the catalog's TB_PRD.
import { seoulStamp } from '../../clock.ts';
import { type Database, isDuplicateKey } from '../../database.ts';
import { answer, param, Refusal, type Routes, requiredId } from '../../wire.ts';
import { requireMember } from '../members/session.ts';

type WishRow = { MBR_ID: string; PRD_NO: number; MEMO: string; RGST_DTM: string };

type Wish = { prdNo: number; prdNm: string; prc: string; memo: string; rgstDtm: string };

const listWishes = (db: Database, mbrId: string): Promise<Wish[]> =>
  db('TB_WISH AS W')
    .join('TB_PRD AS P', 'P.PRD_NO', 'W.PRD_NO')
    .where({ 'W.MBR_ID': mbrId })
    .orderBy([
      { column: 'W.RGST_DTM', order: 'desc' },
      { column: 'W.PRD_NO', order: 'desc' },
    ])
    .select<Wish[]>({
      prdNo: 'W.PRD_NO',
      prdNm: 'P.PRD_NM',
      prc: 'P.PRC',
      memo: 'W.MEMO',
      rgstDtm: 'W.RGST_DTM',
    });

async function addWish(db: Database, mbrId: string, prdNo: number, memo: string): Promise<void> {
  if ((await db('TB_PRD').where({ PRD_NO: prdNo }).first('PRD_NO')) === undefined) throw new Refusal('2002');
  try {
    await db<WishRow>('TB_WISH').insert({ MBR_ID: mbrId, PRD_NO: prdNo, MEMO: memo, RGST_DTM: seoulStamp() });
  } catch (error) {
    throw isDuplicateKey(error) ? new Refusal('3002') : error;
  }
}

export function wishRoutes({ reads, writes }: Routes, db: Database): void {
  reads.get('/api/wish/list.do', async (request, reply) =>
    answer(reply, { wishList: await listWishes(db, await requireMember(db, request)) }),
  );

  writes.post('/api/wish/add.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const prdNo = requiredId(request.body, 'prdNo');
    // The table is a younger one and speaks utf8mb4: nothing to replace, but half a surrogate pair.
    const memo = (param(request.body, 'memo') ?? '').toWellFormed();
    if ([...memo].length > 100) throw new Refusal('1001');
    await addWish(db, mbrId, prdNo, memo);
    return answer(reply, { prdNo });
  });

  writes.post('/api/wish/remove.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const prdNo = requiredId(request.body, 'prdNo');
    const removed = await db<WishRow>('TB_WISH').where({ MBR_ID: mbrId, PRD_NO: prdNo }).delete();
    if (removed === 0) throw new Refusal('2004');
    return answer(reply, { prdNo });
  });
}
