// What a row on the owner's side says of the row on the other: pure.
import { TranslationError } from '../acl/translation-error.ts';
import type { Row } from '../acl/translator.ts';
import { differingColumns, keyText } from './verify-compare.ts';
import type { Part } from './verify-plan.ts';

export type DifferenceClass = 'missing' | 'extra' | 'different';

export type Verdict =
  | { readonly class: 'equal' }
  /** No translator accepts it; that it is not on the target is no difference. */
  | { readonly class: 'quarantined'; readonly field: string; readonly reason: string }
  | {
      readonly class: DifferenceClass;
      /** Of the target, that are not as they should be. */
      readonly columns: readonly string[];
      readonly expected: Row | undefined;
    };

const equal: Verdict = { class: 'equal' };

/**
 * @param source undefined when there is none
 * @param target what the target has under the row's key, or calls equal to it
 * @param targetKey the row's key there
 */
export function judge(part: Part, source: Row | undefined, target: Row | undefined, targetKey: Row): Verdict {
  if (!source) {
    // A group of columns stays with its row, which exists as long as its root does.
    if (!target || !part.root) return equal;
    // Written in another way it is another source row's.
    const isSame = keyText(part.target.key, target) === keyText(part.target.key, targetKey);
    return isSame ? { class: 'extra', columns: [], expected: undefined } : equal;
  }
  let expected: Row;
  try {
    expected = part.expected(source);
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error;
    return { class: 'quarantined', field: error.fault.field, reason: error.fault.reason };
  }
  if (!target) return part.root ? { class: 'missing', columns: [], expected } : equal;
  const columns = differingColumns(part.target.columns, expected, target);
  return columns.length > 0 ? { class: 'different', columns, expected } : equal;
}
