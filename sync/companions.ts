// Several who run inside one stream, as one.
import type { Companion } from './stream.ts';

export const together = (companions: readonly Companion[]): Companion => ({
  passed: (mapping, rows, shape) => {
    for (const each of companions) each.passed(mapping, rows, shape);
  },
  turned: (turn) => {
    for (const each of companions) each.turned?.(turn);
  },
  handedOver: () => {
    for (const each of companions) each.handedOver?.();
  },
  missed: (mark) => {
    for (const each of companions) each.missed?.(mark);
  },
  mark: (mark) => {
    const found = companions.flatMap((each) => each.mark(mark) ?? []);
    return found.length > 0 ? Promise.all(found).then((statements) => statements.flat()) : undefined;
  },
});
