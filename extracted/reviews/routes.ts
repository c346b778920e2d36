import type { FastifyInstance } from 'fastify';
import type { DataSource } from 'typeorm';
import {
  changeReview,
  countView,
  createReview,
  deleteReview,
  type NewReview,
  type ReviewChange,
  recommendReview,
  showOrHide,
} from './changes.ts';
import { contractOf } from './contract.ts';
import { readCursor, writeCursor } from './cursor.ts';
import type { Visibility } from './entities.ts';
import { ReviewsError } from './errors.ts';
import type { Identify } from './identity.ts';
import { getReview, listReviews, ratingSummary, type Slice, type Sort } from './reviews.ts';

type ById = { Params: { id: string } };
type ByProduct = { Params: { productId: string } };
type ListQuery = { sort?: Sort; page?: string; pageSize?: string; cursor?: string; limit?: string };

const sizeDefault = 10;

/** What openapi.json tells clients. The schemas taken from it make the types of these routes true. */
export function addRoutes(app: FastifyInstance, source: DataSource, identify: Identify): void {
  app.get<ByProduct & { Querystring: ListQuery }>(
    '/products/:productId/reviews',
    { schema: contractOf('get', '/products/{productId}/reviews') },
    async ({ params, query }) => {
      const sort = query.sort ?? 'recent';
      const { slice, echo } = sliceOf(query, sort);
      const { items, summary, next } = await listReviews(source, Number(params.productId), sort, slice);
      return { items, total: summary.count, summary, ...echo, nextCursor: next ? writeCursor(next) : null };
    },
  );

  app.get<ByProduct>(
    '/products/:productId/rating-summary',
    { schema: contractOf('get', '/products/{productId}/rating-summary') },
    async ({ params }) => {
      const productId = Number(params.productId);
      return { productId, ...(await ratingSummary(source, productId)) };
    },
  );

  app.get<ById>('/reviews/:id', { schema: contractOf('get', '/reviews/{id}') }, async ({ params }) =>
    getReview(source, Number(params.id)),
  );

  app.post<{ Body: NewReview }>(
    '/reviews',
    { schema: contractOf('post', '/reviews') },
    async ({ headers, body }, reply) => {
      const id = await createReview(source, await identify(headers), body);
      return reply
        .code(201)
        .header('location', `/reviews/${id}`)
        .send(await getReview(source, id));
    },
  );

  app.patch<ById & { Body: ReviewChange }>(
    '/reviews/:id',
    { schema: contractOf('patch', '/reviews/{id}') },
    async ({ headers, params, body }) => {
      await changeReview(source, await identify(headers), Number(params.id), body);
      return getReview(source, Number(params.id));
    },
  );

  app.delete<ById>(
    '/reviews/:id',
    { schema: contractOf('delete', '/reviews/{id}') },
    async ({ headers, params }, reply) => {
      await deleteReview(source, await identify(headers), Number(params.id));
      return reply.code(204).send();
    },
  );

  app.post<ById>(
    '/reviews/:id/views',
    { schema: contractOf('post', '/reviews/{id}/views') },
    async ({ params }) => {
      await countView(source, Number(params.id));
      return getReview(source, Number(params.id));
    },
  );

  app.post<ById>(
    '/reviews/:id/recommendations',
    { schema: contractOf('post', '/reviews/{id}/recommendations') },
    async ({ headers, params }, reply) => {
      const review = await recommendReview(source, await identify(headers), Number(params.id));
      return reply.code(201).send(review);
    },
  );

  app.put<ById & { Body: { visibility: Visibility } }>(
    '/reviews/:id/visibility',
    { schema: contractOf('put', '/reviews/{id}/visibility') },
    async ({ params, body }) => {
      await showOrHide(source, Number(params.id), body.visibility);
      return getReview(source, Number(params.id));
    },
  );
}

type Echo = { page: number; pageSize: number } | { limit: number };

/** Which part of the list is asked for, and what of that the answer repeats. */
function sliceOf(query: ListQuery, sort: Sort): { slice: Slice; echo: Echo } {
  if (query.cursor !== undefined || query.limit !== undefined) {
    for (const field of ['page', 'pageSize'] as const)
      if (query[field] !== undefined)
        throw new ReviewsError('malformed', `${field} does not go together with cursor or limit`, field);
    const limit = Number(query.limit ?? sizeDefault);
    const after = query.cursor === undefined ? undefined : readCursor(query.cursor, sort);
    return { slice: { by: 'place', after, limit }, echo: { limit } };
  }
  const page = Number(query.page ?? 1);
  const pageSize = Number(query.pageSize ?? sizeDefault);
  return {
    slice: { by: 'offset', offset: (page - 1) * pageSize, limit: pageSize },
    echo: { page, pageSize },
  };
}
