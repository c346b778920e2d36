// Those who wait, in the order in which they came; each may leave at any time. A list of links, where a Set would do: V8's leaves its
// old table behind each time that it has filled up with what was deleted, and the old one points to its successor, and to what was in
// it then. Once one of those tables has come to the old generation, all that passes through outlives its collection until a full one.

/** Of one that waits. */
export class Place<T> {
  readonly of: T;
  /** By performance.now() */
  readonly sinceMs = performance.now();
  line: Line<T> | undefined;
  before: Place<T> | undefined;
  after: Place<T> | undefined;

  constructor(of: T) {
    this.of = of;
  }

  /** It waits no longer. @returns false when it did not any more */
  leave(): boolean {
    return this.line?.remove(this) === true;
  }
}

export class Line<T> {
  first: Place<T> | undefined;
  #last: Place<T> | undefined;
  size = 0;

  join(of: T): Place<T> {
    const place = new Place(of);
    place.line = this;
    place.before = this.#last;
    if (this.#last) this.#last.after = place;
    else this.first = place;
    this.#last = place;
    this.size += 1;
    return place;
  }

  remove(place: Place<T>): boolean {
    if (place.line !== this) return false;
    const { before, after } = place;
    if (before) before.after = after;
    else this.first = after;
    if (after) after.before = before;
    else this.#last = before;
    // Whoever is gone points to nobody: see above.
    place.line = undefined;
    place.before = undefined;
    place.after = undefined;
    this.size -= 1;
    return true;
  }
}
