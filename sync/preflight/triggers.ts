// Triggers that fire when the worker writes. One that derives another table from these rows has to; one that changes
// the rows themselves, or others that the stream brings, makes them differ from the source.
import type { TriggerFacts } from './schema-facts.ts';

/** The account as which the worker writes; a trigger that names it knows of the stream. */
export const applier = 'banyan_apply';

const ownRow = /(?:\bset\b|,)\s*`?new`?\s*\.\s*`?[\w$]+`?\s*:?=|\binto\s+`?new`?\s*\./i;
const writing =
  /\b(?:insert|replace|update|delete)\b(?:\s+(?:low_priority|high_priority|delayed|ignore|quick|into|from))*\s+([`\w$.\u0080-\uffff]+)/giu;

/** What follows INSERT, UPDATE and the like: tables, and now and then a column, which does no harm here. */
const writtenBy = (body: string) =>
  [...body.matchAll(writing)].map(([, name = '']) => name.replaceAll('`', '').split('.').at(-1) ?? '');

export type TriggerVerdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'changes'; readonly what: string }
  | { readonly kind: 'follows' };

/** @param streamed tables that the stream writes on that server */
export function judgeTrigger(
  { name, when, body }: TriggerFacts,
  streamed: ReadonlySet<string>,
): TriggerVerdict {
  if (name.startsWith('banyan_') || body.includes(applier)) return { kind: 'fine' };
  if (when.startsWith('BEFORE') && ownRow.test(body))
    return { kind: 'changes', what: 'changes the row itself' };
  const also = writtenBy(body).find((table) => streamed.has(table));
  if (also !== undefined)
    return { kind: 'changes', what: `writes ${also}, whose rows the stream brings as well` };
  return { kind: 'follows' };
}
