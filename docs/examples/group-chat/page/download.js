const LINE_FEED = 10;

/** Puts pictures together that come in pieces: of each the id of the picture, a line feed, and bytes. */
export class Download {
  #end;
  /** Those that are arriving, by id. They stay when the connection is lost: it goes on where it was. */
  #arriving = new Map();

  /** @param end - gets the head of a picture that is whole, its place, and a list of the bytes */
  constructor(end) {
    this.#end = end;
  }

  /** @param place - shows how far it is */
  begin(head, place) {
    this.#arriving.set(head.id, { head, place, pieces: [], received: 0 });
  }

  /** Takes the next piece of a picture. One whose beginning has not come is not wanted. */
  take(piece) {
    const end = piece.indexOf(LINE_FEED);
    const id = String.fromCharCode(...piece.subarray(0, end));
    const picture = this.#arriving.get(id);
    if (picture === undefined) return;
    const bytes = piece.subarray(end + 1);
    picture.pieces.push(bytes);
    picture.received += bytes.length;
    const { head, place, pieces, received } = picture;
    if (received < head.size) place.progress(received);
    else {
      this.#arriving.delete(id);
      this.#end(head, place, pieces);
    }
  }

  /** Gives up what is arriving: pieces are missing. */
  drop() {
    for (const { place } of this.#arriving.values()) place.drop();
    this.#arriving.clear();
  }
}
