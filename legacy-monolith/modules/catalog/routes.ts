import type { Database } from '../../database.ts';
import type { ShopEvents } from '../../events.ts';
import { notFoundPage } from '../../html.ts';
import { answer, pageOf, param, Refusal, type Routes, redirect, requiredId } from '../../wire.ts';
import { productListPage, productPage } from './pages.ts';
import { findStock, latestReviews, listProducts, viewProduct } from './service.ts';
import { stockSocket } from './stock-socket.ts';

/** Three digits; anything else is no category, and all products are meant. */
function categoryOf(source: unknown): string | undefined {
  const value = param(source, 'cateCd') ?? '';
  return /^\d{3}$/.test(value) ? value : undefined;
}

export function catalogRoutes(
  { reads, writes }: Routes,
  db: Database,
  events: ShopEvents,
  publicUrl: string | undefined,
): void {
  reads.get('/api/product/list.do', async (request, reply) =>
    answer(reply, await listProducts(db, categoryOf(request.query), pageOf(request.query))),
  );

  reads.get('/api/product/view.do', async (request, reply) =>
    answer(reply, { prd: await viewProduct(db, requiredId(request.query, 'prdNo')) }),
  );

  reads.get('/api/product/stock.do', async (request, reply) => {
    const prdNo = requiredId(request.query, 'prdNo');
    const stkQty = await findStock(db, prdNo);
    if (stkQty === undefined) throw new Refusal('2002');
    return answer(reply, { prdNo, stkQty });
  });

  reads.get('/', async (request, reply) => redirect(request, reply, publicUrl, '/products'));

  reads.get('/products', async (request, reply) => {
    const cateCd = categoryOf(request.query);
    const page = pageOf(request.query);
    return productListPage(reply, await listProducts(db, cateCd, page), cateCd, page);
  });

  reads.get('/products/:prdNo', async (request, reply) => {
    try {
      const prdNo = requiredId(request.params, 'prdNo');
      return productPage(reply, await viewProduct(db, prdNo), await latestReviews(db, prdNo, 10));
    } catch (error) {
      if (error instanceof Refusal) return notFoundPage(reply);
      throw error;
    }
  });

  stockSocket(writes, db, events);
}
