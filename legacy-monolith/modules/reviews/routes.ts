import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { Database } from '../../database.ts';
import { answer, pageOf, param, Refusal, type Routes, required, requiredId } from '../../wire.ts';
import { requireMember } from '../members/session.ts';
import { findPhoto } from './photos.ts';
import { listReviews, rate, sortOf, viewReview } from './service.ts';
import { deleteReview, modifyReview, recommendReview, writeReview } from './writing.ts';

const filesMax = 5;

/** The peer's address, or, behind the one proxy that is trusted, the address which that proxy has seen. */
function clientAddress(request: FastifyRequest, trustedProxy: string | undefined): string {
  const peer = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  if (trustedProxy === undefined || peer !== trustedProxy) return peer;
  const seen =
    String(request.headers['x-forwarded-for'] ?? '')
      .split(',')
      .at(-1)
      ?.trim() ?? '';
  return isIP(seen) !== 0 && seen.length <= 39 ? seen : peer;
}

/** @throws Refusal 1002 */
function starsOf(body: unknown): string {
  const stars = required(body, 'starPnt', /^/);
  if (!/^(0[1-9]|10)$/.test(stars)) throw new Refusal('1002');
  return stars;
}

/** The photos that the form names: all of them uploaded before. @throws Refusal 1004 */
async function filesOf(body: unknown, uploads: string): Promise<string[] | undefined> {
  const list = param(body, 'imgUrls');
  if (list === undefined) return undefined;
  const files = list === '' ? [] : list.split(',');
  if (files.length > filesMax) throw new Refusal('1004');
  for (const file of files) if ((await findPhoto(uploads, file)) === undefined) throw new Refusal('1004');
  return files;
}

export function reviewRoutes(
  { reads, writes }: Routes,
  db: Database,
  { uploads, trustedProxy }: { uploads: string; trustedProxy: string | undefined },
): void {
  reads.get('/api/review/list.do', async ({ query }, reply) => {
    const prdNo = requiredId(query, 'prdNo');
    return answer(
      reply,
      await listReviews(db, { prdNo, page: pageOf(query), sort: sortOf(param(query, 'sort')) }),
    );
  });

  reads.get('/api/review/summary.do', async ({ query }, reply) => {
    const prdNo = requiredId(query, 'prdNo');
    return answer(reply, { prdNo, ...(await rate(db, prdNo)) });
  });

  reads.get('/api/review/view.do', async ({ query }, reply) =>
    answer(reply, { rvw: await viewReview(db, requiredId(query, 'rvwSeq')) }),
  );

  writes.post('/api/review/write.do', async (request, reply) => {
    const { body } = request;
    const mbrId = await requireMember(db, request);
    const ordNo = param(body, 'ordNo') || undefined;
    if (ordNo !== undefined && !/^\d{16}$/.test(ordNo)) throw new Refusal('1001');
    const rvwSeq = await writeReview(db, {
      prdNo: requiredId(body, 'prdNo'),
      mbrId,
      starPnt: starsOf(body),
      rvwCtnt: required(body, 'rvwCtnt', /^/),
      chnlCd: param(body, 'chnlCd') === undefined ? '01' : required(body, 'chnlCd', /^0[123]$/),
      ordNo,
      rgstIp: clientAddress(request, trustedProxy),
      files: (await filesOf(body, uploads)) ?? [],
    });
    return answer(reply, { rvwSeq });
  });

  writes.post('/api/review/modify.do', async (request, reply) => {
    const { body } = request;
    const mbrId = await requireMember(db, request);
    const rvwSeq = requiredId(body, 'rvwSeq');
    const change = {
      starPnt: starsOf(body),
      rvwCtnt: required(body, 'rvwCtnt', /^/),
      files: await filesOf(body, uploads),
    };
    await modifyReview(db, { rvwSeq, mbrId }, change);
    return answer(reply, { rvwSeq });
  });

  writes.post('/api/review/delete.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const rvwSeq = requiredId(request.body, 'rvwSeq');
    await deleteReview(db, { rvwSeq, mbrId });
    return answer(reply, { rvwSeq });
  });

  writes.post('/api/review/recommend.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const rvwSeq = requiredId(request.body, 'rvwSeq');
    return answer(reply, { rvwSeq, rcmdCnt: await recommendReview(db, rvwSeq, mbrId) });
  });
}
