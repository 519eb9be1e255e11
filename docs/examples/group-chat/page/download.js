const LINE_FEED = 10;

/** Puts pictures together that come in pieces: a line of JSON, a line feed, and the bytes. */
export class Download {
  #begin;
  #end;
  #current;

  /**
   * @param begin - gets the head of a picture; returns a place for it, or `undefined` if it is not wanted
   * @param end - gets the head, the place, and a list of the bytes
   */
  constructor(begin, end) {
    this.#begin = begin;
    this.#end = end;
  }

  /** Takes the next piece. One that is not wanted is read as well, to know where the next one begins. */
  take(piece) {
    if (this.#current !== undefined) this.#add(piece);
    else {
      const end = piece.indexOf(LINE_FEED);
      const head = JSON.parse(new TextDecoder().decode(piece.subarray(0, end)));
      this.#current = { head, place: this.#begin(head), pieces: [], received: 0 };
      this.#add(piece.subarray(end + 1));
    }
  }

  /** Gives up the picture that was arriving: its connection is gone. It comes again, from its beginning. */
  drop() {
    this.#current?.place?.drop();
    this.#current = undefined;
  }

  #add(bytes) {
    const { head, place, pieces } = this.#current;
    this.#current.received += bytes.length;
    if (place !== undefined) pieces.push(bytes);
    if (this.#current.received < head.size) place?.progress(this.#current.received);
    else {
      this.#current = undefined;
      if (place !== undefined) this.#end(head, place, pieces);
    }
  }
}
