// What a stream has applied already, read once more from its source: for who must know the rows, and not write them.
import type { TableMapping } from './mapping.ts';
import { comparePositions, type Position } from './position.ts';
import type { Companion, Source } from './stream.ts';

export type Passage = {
  readonly sourceSchema: string;
  readonly mappings: ReadonlyMap<string, readonly TableMapping[]>;
  readonly to: Position;
};

/**
 * Up to a position that the source has reached.
 * @throws BinlogError; and when a server says positions that cannot be compared with that one
 */
export async function readAgain(
  source: Source,
  { sourceSchema, mappings, to }: Passage,
  passed: Companion['passed'],
): Promise<void> {
  for await (const change of source.events) {
    if (change.kind === 'rows' && change.table.schema === sourceSchema)
      for (const mapping of mappings.get(change.table.table) ?? [])
        passed(mapping, change.rows, change.table);
    if (!('position' in change)) continue;
    const order = comparePositions(change.position, to);
    if (order === 'unordered') throw new Error('the source has another history than the stream');
    if (order !== 'before') return;
  }
}
