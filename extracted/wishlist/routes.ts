import type { FastifyInstance } from 'fastify';
import type { Pool } from 'mysql2/promise';
import { checkMemberId, checkMemo, checkProductId } from './limits.ts';
import { addWish, listWishes, removeWish } from './wishes.ts';

type OfMember = { Params: { memberId: string } };
type OfProduct = { Params: { memberId: string; productId: string } };

const pageSizeDefault = 10;

const listQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    page: { type: 'string', pattern: '^[1-9][0-9]{0,5}$' },
    pageSize: { type: 'string', pattern: '^([1-9][0-9]?|100)$' },
  },
};
const wishParams = {
  type: 'object',
  properties: { memberId: { type: 'string' }, productId: { type: 'string', pattern: '^[1-9][0-9]{0,9}$' } },
};
/** Null is what a request without a body has. */
const wishBody = {
  type: 'object',
  nullable: true,
  additionalProperties: false,
  properties: { memo: { type: 'string' } },
};

/** The README tells clients. The schemas make the types of these routes true. */
export function addRoutes(app: FastifyInstance, pool: Pool): void {
  app.get<OfMember & { Querystring: { page?: string; pageSize?: string } }>(
    '/members/:memberId/wishes',
    { schema: { querystring: listQuery } },
    async ({ params: { memberId }, query }) => {
      checkMemberId(memberId);
      const page = Number(query.page ?? 1);
      const pageSize = Number(query.pageSize ?? pageSizeDefault);
      const list = await listWishes(pool, memberId, { offset: (page - 1) * pageSize, limit: pageSize });
      return { ...list, page, pageSize };
    },
  );

  app.put<OfProduct & { Body: { memo?: string } | null | undefined }>(
    '/members/:memberId/wishes/:productId',
    { schema: { params: wishParams, body: wishBody } },
    async ({ params, body }, reply) => {
      const productId = Number(params.productId);
      const memo = body?.memo ?? '';
      checkMemberId(params.memberId);
      checkProductId(productId);
      checkMemo(memo);
      const { wish, created } = await addWish(pool, params.memberId, productId, memo);
      return reply.code(created ? 201 : 200).send(wish);
    },
  );

  app.delete<OfProduct>(
    '/members/:memberId/wishes/:productId',
    { schema: { params: wishParams } },
    async ({ params }, reply) => {
      const productId = Number(params.productId);
      checkMemberId(params.memberId);
      checkProductId(productId);
      await removeWish(pool, params.memberId, productId);
      return reply.code(204).send();
    },
  );
}
