import { Receive, type ReceiveOptions } from './receive.ts';

/**
 * The line in front of a source of values: outcomes in order on one side, receives in order on the other.
 *
 * The receive at place `i` is ready when more than `i` outcomes are available, and takes outcome `i`; both then leave
 * their lines. A receive that gives up leaves alone, and the ones behind it move up. So nothing is lost or delivered
 * twice, and values and receives meet in order.
 *
 * A subclass keeps the outcomes. Its rule: what is available at a place stays available there until it is taken, and
 * once the source has ended, every place has an outcome for ever (`available()` is Infinity).
 */
export abstract class ReceiveSource<T> {
  // Nearly always one receive waits, and enters and leaves in every round of a loop: it needs no array.
  #first: Receive<unknown> | undefined = undefined;
  #behind: Receive<unknown>[] | undefined = undefined;
  #isOffering = false;
  #haveMovedUp = false;

  /** How many receives have not got a value yet. */
  get waiting(): number {
    if (this.#first === undefined) return 0;
    return this.#behind === undefined ? 1 : 1 + this.#behind.length;
  }

  /** How many outcomes there are now; Infinity once the source has ended. */
  protected abstract available(): number;

  /** Removes the outcome at `index`, which is available, and returns it; throws it if it is an error. */
  protected abstract takeAt(index: number): T;

  /** Is called after an outcome was taken and handed on. It may push into the source. @internal */
  taken(): void {}

  /** Starts a receive at the end of the line; `map` makes its value from the item when it is taken. */
  protected reserve<U = T>(options?: ReceiveOptions, map?: (item: T) => U): Receive<U> {
    return new Receive<U>(this, options, map as ((item: unknown) => U) | undefined);
  }

  /** Offers what is available to the receives in the line. To be called after every change of what is available. */
  protected settle(): void {
    if (this.#first === undefined || this.#isOffering) return;
    this.#isOffering = true;
    try {
      let place = 0;
      while (place < this.waiting && place < this.available()) {
        const receive = place === 0 ? this.#first : this.#behind![place - 1]!;
        this.#haveMovedUp = false;
        receive.offer();
        // Whoever leaves the line moves the others up, so it is read from the front again.
        place = this.#haveMovedUp ? 0 : place + 1;
      }
    } finally {
      this.#isOffering = false;
    }
  }

  /** @internal */
  enter(receive: Receive<unknown>): void {
    if (this.#first === undefined) this.#first = receive;
    else if (this.#behind === undefined) this.#behind = [receive];
    else this.#behind.push(receive);
  }

  /** @internal */
  leave(receive: Receive<unknown>): void {
    this.#depart(receive);
    this.settle();
  }

  /** @internal */
  isReady(receive: Receive<unknown>): boolean {
    const place = this.#placeOf(receive);
    return place !== -1 && place < this.available();
  }

  /** @internal */
  take(receive: Receive<unknown>): T {
    return this.takeAt(this.#depart(receive));
  }

  #placeOf(receive: Receive<unknown>): number {
    if (this.#first === receive) return 0;
    const index = this.#behind === undefined ? -1 : this.#behind.indexOf(receive);
    return index === -1 ? -1 : index + 1;
  }

  #depart(receive: Receive<unknown>): number {
    const place = this.#placeOf(receive);
    if (place === 0) this.#first = this.#behind?.shift();
    else this.#behind!.splice(place - 1, 1);
    this.#haveMovedUp = true;
    return place;
  }
}
