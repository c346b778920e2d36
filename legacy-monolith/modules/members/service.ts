// Members: TB_MBR and TB_LGN_SESS are theirs.
import { seoulDate, seoulDateTime, seoulStamp } from '../../clock.ts';
import type { Database } from '../../database.ts';
import { isDuplicateKey, isRefusedByGuard } from '../../database.ts';
import { toEuckr } from '../../euckr.ts';
import { Refusal } from '../../wire.ts';
import { maskedText } from '../reviews/masking.ts';
import { hashPassword, passwordMatches } from './password.ts';

type MemberRow = {
  MBR_ID: string;
  MBR_PW: string;
  MBR_NM: string;
  EML_ADDR: string | null;
  MBR_GRD_CD: string;
  MKT_AGR_YN: string;
  LEAV_YN: string;
  LEAV_DT: string;
  RGST_DTM: string;
};

export type Member = { mbrId: string; mbrNm: string; mbrGrdCd: string; emlAddr: string };

/** @returns MBR_ID as it is stored. @throws Refusal 9002 */
export async function checkPassword(db: Database, mbrId: string, password: string): Promise<string> {
  // Printable ASCII, as all ids are: anything else could not even be compared with an euckr column.
  const known = /^[\x21-\x7e]{1,20}$/.test(mbrId)
    ? await db<MemberRow>('TB_MBR').where({ MBR_ID: mbrId, LEAV_YN: 'N' }).first()
    : undefined;
  if (known === undefined || !(await passwordMatches(password, known.MBR_PW))) throw new Refusal('9002');
  return known.MBR_ID;
}

export async function findMember(db: Database, mbrId: string): Promise<Member> {
  const row = await db<MemberRow>('TB_MBR').where({ MBR_ID: mbrId }).first();
  if (row === undefined) throw new Refusal('9001');
  return { mbrId: row.MBR_ID, mbrNm: row.MBR_NM, mbrGrdCd: row.MBR_GRD_CD, emlAddr: row.EML_ADDR ?? '' };
}

export type NewMember = {
  mbrId: string;
  mbrPw: string;
  mbrNm: string;
  emlAddr: string | undefined;
  mktAgrYn: 'Y' | 'N';
};

/** @throws Refusal 1001 for a name that does not fit, 3003 for an id that is taken */
export async function join(db: Database, member: NewMember): Promise<void> {
  const MBR_NM = toEuckr(member.mbrNm);
  if (MBR_NM.length > 50) throw new Refusal('1001');
  try {
    await db<MemberRow>('TB_MBR').insert({
      MBR_ID: member.mbrId,
      MBR_PW: await hashPassword(member.mbrPw),
      MBR_NM,
      EML_ADDR: member.emlAddr ?? null,
      MKT_AGR_YN: member.mktAgrYn,
      RGST_DTM: seoulStamp(),
    });
  } catch (error) {
    throw isDuplicateKey(error) ? new Refusal('3003') : error;
  }
}

/**
 * The member goes; the row stays, without a name. The member's reviews, the reviews module's TB_RVW_MST,
 * are written over in the same transaction. Where they are not the shop's to write any more the member can leave all
 * the same: who has left is masked whenever a review is read.
 */
export async function leave(db: Database, mbrId: string): Promise<void> {
  await db.transaction(async (tx) => {
    await tx<MemberRow>('TB_MBR')
      .where({ MBR_ID: mbrId })
      .update({ LEAV_YN: 'Y', LEAV_DT: seoulDate(), MBR_NM: '탈퇴회원', EML_ADDR: null, MBR_PW: '' });
    await tx('TB_LGN_SESS').where({ MBR_ID: mbrId }).delete();
    // A transaction in a transaction is a savepoint: what is refused takes nothing else with it.
    await tx
      .transaction((reviews) =>
        reviews('TB_RVW_MST')
          .where({ MBR_ID: mbrId })
          .update({ RVW_CTNT: maskedText, MOD_DTM: seoulDateTime() }),
      )
      .catch((error: unknown) => {
        if (!isRefusedByGuard(error)) throw error;
      });
  });
}
