// The transaction that is being read: what its first events said of it.
import type { Traceparent } from '../../capability/trace-context.ts';
import type { Point } from '../position.ts';
import type { Held } from './held.ts';
import type { Gtid } from './place.ts';

export type Group = {
  readonly gtid: Gtid | undefined;
  readonly startedAt: Point;
  readonly timestamp: number;
  readonly serverId: number;
  /** Ends with its first statement. */
  isStandalone: boolean;
  /** The half of a two-phase ALTER that changes nothing. */
  readonly isSilent: boolean;
  /** The consumer has it already. */
  readonly isDone: boolean;
  /** `begin` was given. */
  hasBegun: boolean;
  /** Its rows are held back for this XA transaction. */
  xid: string | undefined;
  held: Held | undefined;
  /** What its statements have said of it. */
  trace: Traceparent | undefined;
};
