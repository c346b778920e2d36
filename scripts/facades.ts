// Every facade that is registered, asked on its admin listener how it stands to a capability's writes.
import type { Connection } from 'mysql2/promise';
import type { Replica } from '../capability/change-of-owner.ts';
import { beatOverMs, parseReplicaReport, type ReplicaRow, readReplicas } from '../capability/replicas.ts';

/** A facade that does not answer within this is silent. */
const answerMsMax = 700;

/** What is assumed of a facade that did not answer: it has taken nothing. */
const unheard = (name: string, heartbeat: 'silent' | 'over'): Replica => ({
  name,
  heartbeat,
  acknowledged: [],
  epoch: 0n,
  held: 0,
  heldMax: Number.POSITIVE_INFINITY,
  oldestHeldMs: 0,
  holdAgeMsMax: Number.POSITIVE_INFINITY,
});

export class Facades {
  readonly #control: Connection;
  readonly #token: string;

  /** @param control to the control store, for nothing else: others' statements would stand in the way */
  constructor(control: Connection, token: string) {
    this.#control = control;
    this.#token = token;
  }

  /**
   * Has every facade look at the holds and the fences now.
   * @param waitMs for what it has in flight, so that it can acknowledge
   * @throws when the control store does not say which there are
   */
  async look(capability: string, waitMs: number): Promise<Replica[]> {
    const rows = await readReplicas(this.#control);
    return Promise.all(rows.map((row) => this.#ask(row, capability, waitMs)));
  }

  async #ask(
    { name, adminUrl, beatAgeMs }: ReplicaRow,
    capability: string,
    waitMs: number,
  ): Promise<Replica> {
    const silent = unheard(name, beatAgeMs > beatOverMs ? 'over' : 'silent');
    try {
      const url = new URL(`/api/writes/${encodeURIComponent(capability)}/look?waitMs=${waitMs}`, adminUrl);
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(answerMsMax),
      });
      const report = response.ok ? parseReplicaReport(await response.json()) : undefined;
      if (!report) return silent;
      return {
        name,
        heartbeat: 'alive',
        acknowledged: report.acknowledged.map(BigInt),
        epoch: BigInt(report.epoch),
        held: report.held,
        heldMax: report.heldMax,
        oldestHeldMs: report.oldestHeldMs,
        holdAgeMsMax: report.holdAgeMsMax,
      };
    } catch {
      return silent; // whatever the reason, it has not answered
    }
  }
}
