// What one part of the shop tells another within the process, once the transaction has committed.
import { EventEmitter } from 'node:events';

/** A product's stock, or an order's status, is no longer what it was: look again. */
export type ShopEvents = EventEmitter<{ stock: [prdNo: number]; order: [ordNo: string] }>;

export function createEvents(): ShopEvents {
  const events: ShopEvents = new EventEmitter();
  // One listener for each socket and each stream that is open.
  events.setMaxListeners(0);
  return events;
}
