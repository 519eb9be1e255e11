/** A picture on its way from a page, in pieces. Holds no more than its size. */
export class Upload {
  /** What the page calls it. */
  readonly number: number;
  /** In bytes. */
  readonly size: number;
  readonly #pieceBytes: number;
  readonly #pieces: Uint8Array[] = [];
  #received = 0;

  constructor(number: number, size: number, pieceBytes: number) {
    this.number = number;
    this.size = size;
    this.#pieceBytes = pieceBytes;
  }

  /** How many bytes have arrived. */
  get received(): number {
    return this.#received;
  }

  get isWhole(): boolean {
    return this.#received === this.size;
  }

  /** Takes the next piece; returns false for one of another length, so that nobody sends a picture byte by byte. */
  add(piece: Uint8Array): boolean {
    if (piece.length !== Math.min(this.#pieceBytes, this.size - this.#received)) return false;
    this.#pieces.push(piece);
    this.#received += piece.length;
    return true;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#pieces);
  }
}
