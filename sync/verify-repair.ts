// Mends target rows from the owner, as a chunk of a backfill is applied: read, and written by the stream when it
// passes a mark that was written after, without the keys that have passed since (CHANGE-OF-OWNER, F9).
import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { sameKeys } from './same-keys.ts';
import { StatementBuilder } from './statement-builder.ts';
import type { Statement, WriteRules } from './statements.ts';
import type { Part } from './verify-plan.ts';
import { keyOf, rowsByKey } from './verify-read.ts';
import type { Difference, Looking } from './verify-suspects.ts';

/** @returns false when the stream no longer applies, or the signal came */
export async function mend(
  part: Part,
  differences: readonly Difference[],
  { connections, marks, watch }: Looking,
  rules: WriteRules,
  signal: AbortSignal,
): Promise<boolean> {
  const { source } = connections;
  using window = watch.open([part.source.table]);
  const known = differences.flatMap(({ suspect }, index) =>
    suspect.sourceKey ? [{ index, key: suspect.sourceKey }] : [],
  );
  const keys = known.map(({ key }) => key);
  const found = await rowsByKey(source, part.source, part.source.columns, keys);
  const rows = new Map(known.map(({ index }, at) => [index, found[at]]));
  // Awaited: the window is open until then.
  return await marks.pass(signal, async () => {
    // Nothing is mended this time, then.
    if (window.isVoid) return [];
    const passed = window.of(part.source.table).map(({ key }) => key);
    const dropped = new Set(
      [...(await sameKeys(source, part.source.key, keys, passed))].map((at) => known[at]?.index),
    );
    return statements(
      part,
      differences.flatMap((difference, index) =>
        dropped.has(index) ? [] : [{ difference, row: rows.get(index) }],
      ),
      rules,
    );
  });
}

function statements(
  part: Part,
  mended: readonly { readonly difference: Difference; readonly row: Row | undefined }[],
  rules: WriteRules,
): Statement[] {
  const builder = new StatementBuilder(rules);
  const { writes, root, target } = part;
  // Where another unique key keeps two of them apart they may be in each other's way: they go before they come.
  const isSwept = root && !rules.isPlain(writes.table);
  for (const { difference, row } of mended) {
    const isExtra = difference.class === 'extra' && row === undefined;
    if (root && difference.actual && (isExtra || (isSwept && row)))
      builder.add({ kind: 'remove', target: writes, key: keyOf(target, difference.actual) });
  }
  for (const { difference, row } of mended) {
    if (!row || difference.class === 'extra') continue;
    try {
      builder.add({ kind: 'put', target: writes, columns: part.expected(row) });
    } catch (error) {
      if (!(error instanceof TranslationError)) throw error; // it is in quarantine by now
    }
  }
  return builder.take();
}
