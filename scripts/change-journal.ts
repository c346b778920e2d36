// Writes a change's steps into the control store while the change goes on: nobody waits for it, since writers are being held.
// And keeps the lease meanwhile.
import type { Connection } from 'mysql2/promise';
import type { ChangeOfOwner } from '../capability/change-of-owner-place.ts';
import { journal, renewEveryMs, takeChangeLease } from '../capability/change-store.ts';

export class ChangeJournal {
  readonly #control: Connection;
  readonly #change: Pick<ChangeOfOwner, 'id' | 'capability'>;
  #written: Promise<void> = Promise.resolve();
  #trouble: string | undefined;
  readonly #renewing: NodeJS.Timeout;

  /** @param control to the control store, for nothing else */
  constructor(control: Connection, change: Pick<ChangeOfOwner, 'id' | 'capability'>, holder: string) {
    this.#control = control;
    this.#change = change;
    this.#renewing = setInterval(() => {
      this.#later(async () => {
        if (!(await takeChangeLease(control, change.capability, holder)))
          this.#trouble ??= 'another command has taken this change over';
      });
    }, renewEveryMs);
  }

  /** Why the change should be given up, if it should. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  write(step: string, detail: string): void {
    this.#later(() => journal(this.#control, this.#change, step, detail));
  }

  /** All that was written is there, or could not be. */
  async end(): Promise<void> {
    clearInterval(this.#renewing);
    await this.#written;
  }

  #later(work: () => Promise<void>): void {
    this.#written = this.#written.then(work).catch((error: unknown) => {
      this.#trouble ??= `the control store takes no journal: ${error instanceof Error ? error.message : String(error)}`;
    });
  }
}
