// Rows of Banyan's own tables as the binlog has them: the marker of the other direction, fences, heartbeats, watermarks.
import type { Side } from '../capability/capability.ts';
import type { RowImage } from './binlog/rows.ts';
import type { TableShape } from './binlog/table-map.ts';

export type OwnRow = { readonly capability: string } & (
  | { readonly kind: 'stream'; readonly source: Side }
  | { readonly kind: 'heartbeat'; readonly at: string }
  | { readonly kind: 'watermark'; readonly mark: string }
  | {
      readonly kind: 'fence';
      readonly owner: Side;
      readonly epoch: bigint;
      readonly turn: bigint | null;
      /** Unix seconds by the source's clock; 0 without a turn. */
      readonly deadline: number;
    }
);

/** The tables that a reader asks for beside those captured. */
export const ownTables: ReadonlySet<string> = new Set([
  'banyan_fence',
  'banyan_stream',
  'banyan_heartbeat',
  'banyan_watermark',
]);

const sideOf = (value: unknown): Side => (value === 'legacy' ? 'legacy' : 'service');

/** What a row of the schema `banyan` says; undefined for one of another table. */
export function readOwnRow({ table, columns }: TableShape, image: RowImage): OwnRow | undefined {
  const named = (name: string) => image[columns.findIndex((column) => column.name === name)] ?? null;
  const capability = String(named('capability'));
  switch (table) {
    case 'banyan_stream':
      return { kind: 'stream', capability, source: sideOf(named('source')) };
    case 'banyan_heartbeat':
      return { kind: 'heartbeat', capability, at: String(named('at')) };
    case 'banyan_watermark':
      return { kind: 'watermark', capability, mark: String(named('mark')) };
    case 'banyan_fence': {
      const turn = named('turn_id');
      return {
        kind: 'fence',
        capability,
        owner: sideOf(named('owner')),
        epoch: BigInt(String(named('epoch'))),
        turn: turn === null ? null : BigInt(String(turn)),
        deadline: turn === null ? 0 : Number(named('turn_deadline') ?? 0),
      };
    }
    default:
      return undefined;
  }
}
