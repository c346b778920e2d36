import type { Database } from '../../database.ts';
import type { ShopEvents } from '../../events.ts';
import { day, html, notFoundPage, page, won } from '../../html.ts';
import { answer, pageOf, param, Refusal, type Routes, redirect, required, requiredId } from '../../wire.ts';
import { requireMember, sessionMember } from '../members/session.ts';
import { cancelOrder, listOrders, placeOrder, statusNames, viewOrder } from './service.ts';

const orderNumber = /^\d{16}$/;

export function orderRoutes(
  { reads, writes }: Routes,
  db: Database,
  events: ShopEvents,
  publicUrl: string | undefined,
): void {
  writes.post('/api/order/place.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const prdNo = requiredId(request.body, 'prdNo');
    const placed = await placeOrder(db, mbrId, {
      prdNo,
      qty: Number(required(request.body, 'qty', /^[1-9]\d{0,2}$/)),
      payMthdCd: required(request.body, 'payMthdCd', /^0[123]$/),
    });
    events.emit('stock', prdNo);
    return answer(reply, placed);
  });

  writes.post('/api/order/cancel.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    const ordNo = required(request.body, 'ordNo', orderNumber);
    for (const prdNo of await cancelOrder(db, mbrId, ordNo)) events.emit('stock', prdNo);
    events.emit('order', ordNo);
    return answer(reply, { ordNo });
  });

  reads.get('/api/order/list.do', async (request, reply) =>
    answer(reply, await listOrders(db, await requireMember(db, request), pageOf(request.query))),
  );

  reads.get('/api/order/view.do', async (request, reply) => {
    const mbrId = await requireMember(db, request);
    return answer(reply, { ord: await viewOrder(db, mbrId, required(request.query, 'ordNo', orderNumber)) });
  });

  reads.get('/orders/:ordNo', async (request, reply) => {
    const ordNo = param(request.params, 'ordNo') ?? '';
    if (!orderNumber.test(ordNo)) return notFoundPage(reply);
    const mbrId = await sessionMember(db, request);
    if (mbrId === undefined) return redirect(request, reply, publicUrl, `/login?returnUrl=/orders/${ordNo}`);
    try {
      const order = await viewOrder(db, mbrId, ordNo);
      return page(
        reply,
        `주문 ${ordNo}`,
        html`<p>${statusNames[order.ordStsCd] ?? ''}, ${day(order.rgstDtm)}</p>
<table>
<tr><th>상품명</th><th>수량</th><th>가격</th></tr>
${order.dtlList.map(
  (line) => html`<tr><td><a href="/products/${line.prdNo}">${line.prdNm}</a></td>
<td class="num">${line.ordQty}</td><td class="num">${won(line.unitPrc)}</td></tr>
`,
)}</table>
<p class="prc">합계 ${won(order.ordAmt)}</p>`,
      );
    } catch (error) {
      if (error instanceof Refusal) return notFoundPage(reply);
      throw error;
    }
  });
}
